import { createPrivateKey } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import t from "tap";
import { readTlsFiles } from "../../src/config/tls-files.ts";

const folder = join(import.meta.dirname, "tls");
const file = (name: string) => readFileSync(join(folder, name));
const text = (name: string) => file(name).toString();

const LOCKED = createPrivateKey(text("client.key"))
  .export({ type: "pkcs8", format: "pem", cipher: "aes-256-cbc", passphrase: "hunter2" })
  .toString();
const DER = Buffer.from(text("client.pem").replace(/-----.*-----|\s/g, ""), "base64");
const NO_CERTIFICATE = "{value} holds no readable certificate; write a PEM file";
const NO_KEY = "{value} holds no readable private key; write a PEM file without a passphrase";
const NOT_ITS_KEY = "{value} is not the key of the certificate in cert";

type Files = Readonly<Partial<Record<"ca" | "cert" | "key", string | Buffer>>>;

const rows: readonly {
  readonly name: string;
  readonly files: Files;
  readonly found: Readonly<Record<string, string>>;
}[] = [
  { name: "none", files: {}, found: {} },
  {
    name: "all",
    files: { ca: text("ca.pem"), cert: text("client.pem"), key: text("client.key") },
    found: {},
  },
  {
    name: "a bundle with notes between",
    files: { ca: `issued by us\n${text("ca.pem")}\nand\n${text("client.pem")}` },
    found: {},
  },
  { name: "line ends of Windows", files: { ca: text("ca.pem").replaceAll("\n", "\r\n") }, found: {} },
  {
    name: "a chain: its first certificate counts",
    files: { cert: text("client.pem") + text("ca.pem"), key: text("client.key") },
    found: {},
  },
  {
    name: "a chain the wrong way round",
    files: { cert: text("ca.pem") + text("client.pem"), key: text("client.key") },
    found: { key: NOT_ITS_KEY },
  },
  {
    name: "empty files",
    files: { ca: "", cert: "", key: "" },
    found: { ca: NO_CERTIFICATE, cert: NO_CERTIFICATE, key: NO_KEY },
  },
  {
    name: "cert and key in each other's place",
    files: { cert: text("client.key"), key: text("client.pem") },
    found: { cert: NO_CERTIFICATE, key: NO_KEY },
  },
  {
    name: "another's key",
    files: { cert: text("client.pem"), key: text("other.key") },
    found: { key: NOT_ITS_KEY },
  },
  {
    name: "a key under a passphrase",
    files: { cert: text("client.pem"), key: LOCKED },
    found: { key: NO_KEY },
  },
  { name: "DER", files: { ca: DER }, found: { ca: NO_CERTIFICATE } },
  {
    name: "a bundle with one that is broken",
    files: { ca: text("ca.pem") + text("broken.pem") },
    found: { ca: NO_CERTIFICATE },
  },
  {
    name: "a certificate that was cut off",
    files: { ca: text("ca.pem").slice(0, 200) },
    found: { ca: NO_CERTIFICATE },
  },
];
for (const { name, files, found } of rows) {
  t.test(`PEM files: ${name}`, async (t) => {
    const named = (key: "ca" | "cert" | "key") => (key in files ? key : null);
    const { material, findings } = await readTlsFiles(
      { ca: named("ca"), cert: named("cert"), key: named("key") },
      ["tls"],
      async (key) => Buffer.from(files[key as keyof Files] ?? ""),
    );
    t.same(
      Object.fromEntries(findings.map(({ path, message }) => [path.join("."), message])),
      Object.fromEntries(Object.entries(found).map(([key, message]) => [`tls.${key}`, message])),
    );
    t.equal(material.ca === null, !("ca" in files), "nothing is read that is not named");
    t.notMatch(JSON.stringify(findings), /BEGIN|MII|hunter2/, "no message shows what a file holds");
  });
}

t.test("a file that cannot be read is told by its code, beside what the others lack", async (t) => {
  const { material, findings } = await readTlsFiles(
    { ca: "/a", cert: "/b", key: null },
    ["tls"],
    async (name) => {
      if (name === "/b") return Buffer.from("none");
      throw Object.assign(new Error("secret"), { code: "EACCES" });
    },
  );
  t.same(findings, [
    { path: ["tls", "ca"], message: "{value} cannot be read (EACCES)" },
    { path: ["tls", "cert"], message: NO_CERTIFICATE },
  ]);
  t.equal(material.ca, null);
});

t.test("what OpenSSL refuses is found now, not by the first check", async (t) => {
  const files = { ca: null, cert: join(folder, "weak.pem"), key: join(folder, "weak.key") };
  const { findings } = await readTlsFiles(files, ["tls"], async (name) => readFileSync(name));
  t.match(findings, [{ path: ["tls"], message: /^these files cannot be used together \(\w+\)$/ }]);
});
