import t from "tap";
import { parseConfig } from "../../src/config/load.ts";
import { readPages } from "../../src/config/page-files.ts";
import { formatProblem } from "../../src/config/problem.ts";
import { oneRoute } from "../support/config-text.ts";

t.test("a page has a greatest length", async (t) => {
  const text = oneRoute("preset: authentik, fallback: { page: p }");
  const problems = async (length: number): Promise<string[]> => {
    const parsed = await parseConfig(text, "c.yaml", {}, async () => new Uint8Array(length).fill(0x61));
    return parsed.ok ? [] : parsed.problems.map(formatProblem);
  };
  t.same(await problems(64 * 1024), []);
  t.match(await problems(64 * 1024 + 1), [/fallback\.page: value p has 65537 bytes; write 64 KiB at most$/]);
});

const HTML = new TextEncoder().encode("<p>\u00fc");

const pageRows = [
  { name: "the shortest", bytes: new TextEncoder().encode("a"), says: null },
  { name: "UTF-8 with a byte order mark", bytes: new Uint8Array([0xef, 0xbb, 0xbf, 0x61]), says: null },
  { name: "the longest", bytes: new Uint8Array(65_536).fill(0x61), says: null },
  {
    name: "one byte more",
    bytes: new Uint8Array(65_537).fill(0x61),
    says: "{value} has 65537 bytes; write 64 KiB at most",
  },
  {
    name: "nothing",
    bytes: new Uint8Array(),
    says: "{value} is empty; write HTML, or null for sparekey's own page",
  },
  { name: "Latin-1", bytes: new Uint8Array([0x61, 0xe9]), says: "{value} is not UTF-8 text" },
  { name: "UTF-16", bytes: new Uint8Array([0xff, 0xfe, 0x61, 0]), says: "{value} is not UTF-8 text" },
  { name: "a character cut in two", bytes: HTML.slice(0, 4), says: "{value} is not UTF-8 text" },
];
for (const { name, bytes, says } of pageRows) {
  t.test(`a page: ${name}`, async (t) => {
    const data = { routes: [{ fallback: { page: "p" } }] };
    const { pages, findings } = await readPages(
      data,
      (file) => `/conf/${file}`,
      async () => bytes,
    );
    t.equal(pages.get("p") ?? null, says === null ? bytes : null);
    t.same(findings, says === null ? [] : [{ path: ["routes", 0, "fallback", "page"], message: says }]);
  });
}

t.test("a page that many name is read once; each that names a missing one is told", async (t) => {
  const read: string[] = [];
  const hosts = [
    { fallback: { page: "here" } },
    { fallback: { page: "gone" } },
    { fallback: { page: 5 } },
    "x",
  ];
  const { pages, findings } = await readPages(
    {
      routes: [
        { fallback: { page: "here" }, hosts },
        null,
        { fallback: { page: "gone" } },
        { fallback: { page: null } },
      ],
    },
    (file) => `/conf/${file}`,
    async (file) => {
      read.push(file);
      if (file.endsWith("gone")) throw Object.assign(new Error("secret"), { code: "ENOENT" });
      return HTML;
    },
  );
  t.same([...pages.keys()], ["here"]);
  t.equal(read.filter((file) => file === "/conf/here").length, 1);
  const message = "{value} cannot be read (ENOENT)";
  t.same(findings, [
    { path: ["routes", 0, "hosts", 1, "fallback", "page"], message },
    { path: ["routes", 2, "fallback", "page"], message },
  ]);
});

t.test("data of any shape names no page", async (t) => {
  for (const data of [null, "a", [], { routes: "a" }, { routes: [{ hosts: "a", fallback: "a" }, []] }]) {
    const { pages, findings } = await readPages(
      data,
      (file) => file,
      () => Promise.reject(new Error("read")),
    );
    t.equal(pages.size + findings.length, 0, JSON.stringify(data));
  }
});
