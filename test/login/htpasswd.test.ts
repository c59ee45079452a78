import t from "tap";
import { parseHtpasswd, readHash } from "../../src/login/htpasswd.ts";

const BCRYPT = `$2y$05$${"a".repeat(53)}`;
const SHA = "{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=";

const accepted: readonly { name: string; hash: string; kind: string }[] = [
  { name: "bcrypt 2a", hash: `$2a$05$${"a".repeat(53)}`, kind: "bcrypt" },
  { name: "bcrypt 2b", hash: `$2b$16$${"./Z9".repeat(13)}a`, kind: "bcrypt" },
  { name: "bcrypt 2y", hash: BCRYPT, kind: "bcrypt" },
  { name: "apr1", hash: `$apr1$salt$${"a".repeat(22)}`, kind: "apr1" },
  { name: "sha", hash: SHA, kind: "sha1" },
  { name: "ssha", hash: `{SSHA}${Buffer.alloc(28, 1).toString("base64")}`, kind: "sha1" },
  { name: "sha-256 crypt", hash: `$5$salt$${"a".repeat(43)}`, kind: "sha-crypt" },
  { name: "sha-512 crypt, rounds", hash: `$6$rounds=1000000$salt$${"a".repeat(86)}`, kind: "sha-crypt" },
];
for (const { name, hash, kind } of accepted) {
  t.test(`accepted: ${name}`, async (t) => {
    t.equal(readHash(hash).kind, kind);
    t.same([...parseHtpasswd(`bob:${hash}`).users], [["bob", hash]]);
  });
}

const refused: readonly { name: string; hash: string; message: RegExp }[] = [
  { name: "nothing", hash: "", message: /^no hash/ },
  { name: "plain text", hash: "secret pass", message: /^plain text/ },
  { name: "DES", hash: "U2gcpLLQrPK6k", message: /^DES crypt/ },
  { name: "MD5 crypt of Unix", hash: `$1$salt$${"s".repeat(22)}`, message: /unknown format/ },
  { name: "yescrypt", hash: "$y$j9T$secret$secret", message: /unknown format/ },
  { name: "bcrypt 2x, the broken one", hash: `$2x$05$${"a".repeat(53)}`, message: /unknown format/ },
  { name: "bcrypt cut off", hash: BCRYPT.slice(0, -1), message: /malformed/ },
  { name: "bcrypt too long", hash: `${BCRYPT}a`, message: /malformed/ },
  { name: "bcrypt, strange letter", hash: BCRYPT.replace(/a$/, "+"), message: /malformed/ },
  { name: "bcrypt cost 17", hash: BCRYPT.replace("$05$", "$17$"), message: /cost is 17; it must be 4 to 16/ },
  { name: "bcrypt cost 3", hash: BCRYPT.replace("$05$", "$03$"), message: /cost is 3;/ },
  { name: "apr1, long salt", hash: `$apr1$saltsalts$${"a".repeat(22)}`, message: /malformed/ },
  { name: "sha, wrong length", hash: "{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g", message: /malformed/ },
  { name: "sha with a salt", hash: `{SHA}${Buffer.alloc(28).toString("base64")}`, message: /malformed/ },
  { name: "ssha without a salt", hash: `{SSHA}${Buffer.alloc(20).toString("base64")}`, message: /malformed/ },
  {
    name: "ssha, lower case",
    hash: `{ssha}${Buffer.alloc(28).toString("base64")}`,
    message: /unknown format/,
  },
  { name: "sha-256 crypt, digest of 512", hash: `$5$salt$${"a".repeat(86)}`, message: /malformed/ },
  { name: "too few rounds", hash: `$5$rounds=999$salt$${"a".repeat(43)}`, message: /999 rounds/ },
  { name: "too many rounds", hash: `$6$rounds=1000001$salt$${"a".repeat(86)}`, message: /1000001 rounds/ },
  {
    name: "rounds with a zero in front",
    hash: `$6$rounds=05000$salt$${"a".repeat(86)}`,
    message: /malformed/,
  },
];
for (const { name, hash, message } of refused) {
  t.test(`refused: ${name}`, async (t) => {
    const { users, problems } = parseHtpasswd(`# by hand\nbob:${hash}\n`);
    t.equal(users.size, 0);
    t.match(problems, [{ line: 2, message }]);
    if (hash !== "") t.notOk(problems[0]?.message.includes(hash.slice(-12)), "no hash in the message");
  });
}

t.test("byte order mark, comments, blanks, CRLF and further fields are read over", async (t) => {
  const { users, problems } = parseHtpasswd(
    `\uFEFF# people\r\n\r\n  \t\r\n bob:${SHA} \r\njürgen:${SHA}:a note\r\n`,
  );
  t.same([...users.keys()], ["bob", "jürgen"]);
  t.same([...users.values()], [SHA, SHA]);
  t.same(problems, []);
});

t.test("names that cannot be", async (t) => {
  const { users, problems } = parseHtpasswd(
    [
      `:${SHA}`,
      `bo\tb:${SHA}`,
      `bo\rb:${SHA}`,
      `\uFFFD:${SHA}`,
      `${"n".repeat(256)}:${SHA}`,
      "secretword",
    ].join("\n"),
  );
  t.equal(users.size, 0);
  t.match(problems, [
    { line: 1, message: /empty/ },
    { line: 2, message: /control characters/ },
    { line: 3, message: /control characters/ },
    { line: 4, message: /not UTF-8/ },
    { line: 5, message: /longer than 255/ },
    { line: 6, message: "no colon; write NAME:HASH" },
  ]);
});

t.test("of two lines with a name the first one counts", async (t) => {
  const { users, problems } = parseHtpasswd(`bob:${SHA}\nbob:${BCRYPT}\n`);
  t.equal(users.get("bob"), SHA);
  t.match(problems, [{ line: 2, message: /same name as in line 1/ }]);
});

t.test("even when the first one is refused", async (t) => {
  const { users, problems } = parseHtpasswd(`bob:plain\nbob:${BCRYPT}\n`);
  t.equal(users.size, 0);
  t.same(
    problems.map(({ line }) => line),
    [1, 2],
  );
});

t.test("names that are words of the language", async (t) => {
  const { users } = parseHtpasswd(`__proto__:${SHA}\nconstructor:${SHA}`);
  t.same([...users.keys()], ["__proto__", "constructor"]);
});

t.test("at most 10,000 users", async (t) => {
  const lines = Array.from({ length: 10_003 }, (_, index) => `user${index}:${SHA}`);
  const { users, problems } = parseHtpasswd(lines.join("\n"));
  t.equal(users.size, 10_000);
  t.match(problems, [{ line: 10_001, message: /more than 10000 users/ }]);
});
