import t from "tap";
import { filePath, identityHeader, realm, requestUri, routeName } from "../../src/config/texts.ts";
import { judged } from "../support/config-text.ts";

const IN_HTTP = "{value} has a meaning of its own in HTTP; name a header that carries the identity";
const HASH = "holds a password hash, not a path; put it into a file and write the path of that";

const taken = [
  { name: "route names", kind: routeName(), all: ["a", "A-b_9", "a".repeat(64)] },
  { name: "files", kind: filePath(), all: ["a", "/a b/ü", "~/x", "/run/$USER/2y", "a".repeat(4096)] },
  { name: "request URIs", kind: requestUri(), all: ["/", "//a?b#c", `/${"a".repeat(2047)}`] },
  { name: "realms", kind: realm(), all: [" ", "Cafe!", "a'b<c>", "a".repeat(128)] },
  {
    name: "identity headers",
    kind: identityHeader(),
    all: ["X", "Remote-User", "Authorization", "a".repeat(64)],
  },
] as const;
for (const { name, kind, all } of taken) {
  t.test(`taken: ${name}`, async (t) => {
    for (const value of all) t.same(judged(kind, value), { value }, value.slice(0, 20));
  });
}

const refused = [
  {
    name: "route names",
    kind: routeName(),
    message: /^\{value\} is not a route name/,
    all: ["", "a b", "a/b", "a.b", "ü", "a\n", "a".repeat(65), 5, null],
  },
  {
    name: "files",
    kind: filePath(),
    message: /^\{value\} is not a file path/,
    all: ["", "a\0", "a\nb", "a\u0085", "a\u007f", "a".repeat(4097), 5, null],
  },
  {
    name: "request URIs",
    kind: requestUri(),
    message: /^\{value\} is not a request URI/,
    all: ["", "a", "/a b", "/a\r\nX: b", "/é", `/${"a".repeat(2048)}`],
  },
  {
    name: "realms",
    kind: realm(),
    message: /^\{value\} is not a realm/,
    all: ["", 'a"', "a\\", "a\tb", "a\r\nX: b", "é", "a\u007f", "a".repeat(129)],
  },
  {
    name: "identity headers",
    kind: identityHeader(),
    message: /^\{value\} is not a header name/,
    all: ["", "X_User", "X-User ", "X-User:", "X\n", "é", "a".repeat(65)],
  },
  {
    name: "headers of HTTP",
    kind: identityHeader(),
    message: IN_HTTP,
    all: ["set-cookie", "SET-COOKIE", "Location", "Transfer-Encoding", "X-Auth-Fallback", "cookie", "Age"],
  },
  {
    name: "headers that this key may not name",
    kind: identityHeader(["authorization"]),
    message: IN_HTTP,
    all: ["Authorization"],
  },
  {
    name: "a hash for a file",
    kind: filePath(),
    message: HASH,
    all: [
      "admin:$2y$05$x",
      "$2$x",
      "$2a$x",
      "$1$x",
      "$5$x",
      "$6$x",
      "$APR1$x",
      "a:{SHA}x",
      "{ssha}x",
      "$6$line\nbreak",
      "admin:$y$j9T$x",
      "$argon2id$v=19$x",
      "$7$x",
    ],
  },
] as const;
for (const { name, kind, message, all } of refused) {
  t.test(`refused: ${name}`, async (t) => {
    for (const value of all)
      t.match(judged(kind, value), { refused: [message] }, JSON.stringify(value).slice(0, 20));
  });
}
