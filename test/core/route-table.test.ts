import t from "tap";
import { buildRouteTable, destinationOf, findRoute, hasDotSegment } from "../../src/core/route-table.ts";
import type { Route } from "../../src/core/snapshot.ts";
import { route } from "../support/fixtures.ts";

/** A route named after its rule; `*` at the end matches a prefix. */
function rule(text: string): Route {
  const path = text.endsWith("*")
    ? ({ kind: "prefix", prefix: text.slice(0, -1) } as const)
    : ({ kind: "exact", path: text } as const);
  return route({ name: text, path });
}

const RULES = [
  "/auth",
  "/auth/*",
  "/auth/deep/*",
  "/auth/deep/exact",
  "/authx/*",
  "/b",
  "/%41",
  "/constructor",
];

t.test("the route of a path", async (t) => {
  const table = buildRouteTable(RULES.map(rule));
  const rows = [
    { name: "exact", path: "/auth", found: "/auth" },
    { name: "prefix", path: "/auth/x", found: "/auth/*" },
    { name: "the prefix itself", path: "/auth/", found: "/auth/*" },
    { name: "the longest prefix", path: "/auth/deep/x", found: "/auth/deep/*" },
    { name: "the longest prefix itself", path: "/auth/deep/", found: "/auth/deep/*" },
    { name: "just short of the longer prefix", path: "/auth/deep", found: "/auth/*" },
    { name: "exact before any prefix", path: "/auth/deep/exact", found: "/auth/deep/exact" },
    { name: "one more than exact", path: "/auth/deep/exact/", found: "/auth/deep/*" },
    { name: "a neighbour", path: "/authx/1", found: "/authx/*" },
    { name: "not the start of a neighbour", path: "/authy", found: null },
    { name: "an exact path is no prefix", path: "/b/c", found: null },
    { name: "an exact path with a slash", path: "/b/", found: null },
    { name: "case matters", path: "/AUTH", found: null },
    { name: "nothing is decoded", path: "/%61uth", found: null },
    { name: "nor is the rule", path: "/A", found: null },
    { name: "an encoded rule matches as written", path: "/%41", found: "/%41" },
    { name: "two slashes are not one", path: "//auth", found: null },
    { name: "the root", path: "/", found: null },
    { name: "empty", path: "", found: null },
    { name: "a name objects are born with", path: "/constructor", found: "/constructor" },
    { name: "another such name", path: "__proto__", found: null },
  ];
  for (const row of rows) {
    t.equal(findRoute(table, row.path)?.name ?? null, row.found, row.name);
  }
  const backwards = buildRouteTable(RULES.toReversed().map(rule));
  for (const row of rows) {
    t.equal(
      findRoute(backwards, row.path)?.name ?? null,
      row.found,
      `${row.name}, routes in the other order`,
    );
  }
});

t.test("a prefix of everything, and no routes", async (t) => {
  const all = buildRouteTable([rule("/*"), rule("/auth")]);
  t.equal(findRoute(all, "/")?.name, "/*");
  t.equal(findRoute(all, "/x/y")?.name, "/*");
  t.equal(findRoute(all, "/auth")?.name, "/auth");
  t.equal(findRoute(all, "x"), null, "a path begins with a slash");
  t.equal(findRoute(buildRouteTable([]), "/auth"), null);
});

t.test("where a path leads", async (t) => {
  const [prefix, exact] = [rule("/a/*"), rule("/b/../c")];
  const table = buildRouteTable([prefix, exact, rule("/healthz")]);
  const rows = [
    { name: "a route", path: "/a/b", leads: prefix },
    { name: "none", path: "/c", leads: "no route" },
    { name: "out of a prefix", path: "/a/../b", leads: "dot segment" },
    { name: "out of no route", path: "/x/../b", leads: "no route" },
    { name: "an exact path, as its rule has it", path: "/b/../c", leads: exact },
    { name: "health, before any route", path: "/healthz", leads: "health" },
    { name: "below health", path: "/healthz/", leads: "no route" },
  ];
  for (const { name, path, leads } of rows) t.equal(destinationOf(table, path), leads, name);
});

t.test("paths that could be led out of a prefix", async (t) => {
  const out = [
    ...["/a/..", "/a/../b", "/a/.", "/a/./b", "/..", "/.", "..", "/a//../b", "/a/../../b"],
    ...["/a/%2e%2e", "/a/%2E%2e/b", "/a/.%2e/b", "/a/%2e./b", "/a/%2e/b", "/a/%2e"],
    ...["/a/..%2fb", "/a%2f../b", "/a%2F..%2Fb", "/a%2f%2e%2e%2fb", "/a/..%5cb", "/a%5C..%5Cb"],
    ...["/a/..\\b", "/a\\..\\b", "/a\\..", "/a/..;/b", "/a/..;x=1/b", "/a/..%3bx/b", "/a/..%3B", "/a/.;/b"],
  ];
  for (const path of out) t.equal(hasDotSegment(path), true, path);
  const fine = [
    ...[
      "/a",
      "/a/",
      "/a/...",
      "/a/.../b",
      "/a/..b/c",
      "/a/b../c",
      "/a/.well-known/x",
      "/a.b/c",
      "/a/b.",
      "/a/x..",
    ],
    ...[
      "/a/%2e%2e%2e",
      "/a/%2ex",
      "/a/..a%2f",
      "/outpost.goauthentik.io/auth/traefik",
      "/a/.%2ea",
      "//",
      "/%2f",
      "",
    ],
  ];
  for (const path of fine) t.equal(hasDotSegment(path), false, path);
});

t.test("a long path costs no more than its length", async (t) => {
  // Finishes at once, or not in anybody's lifetime: a nested repetition would be exponential here.
  for (const piece of ["/", ".", "%2e", "/.", "%2f%2e", "/..x", "\\;"]) {
    t.type(hasDotSegment(`${piece.repeat(80_000)}x`), "boolean", piece);
  }
});
