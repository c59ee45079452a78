import t from "tap";
import { effectiveRoutes, settled } from "../../src/config/effective.ts";

const UNKNOWN = {
  name: null,
  listen: null,
  path: null,
  mode: null,
  htpasswd: null,
  usernameHeader: null,
  clearHeaders: null,
  hosts: [],
};
const DEFAULT_LISTEN = { host: "0.0.0.0", port: 9000 };

t.test("one for each entry, whatever it is", async (t) => {
  for (const routes of [undefined, null, "a", { a: 1 }, []]) t.same(effectiveRoutes({ routes }), []);
  for (const data of [null, "a", []]) t.same(effectiveRoutes(data), []);
  t.same(effectiveRoutes({ routes: [5, null, []] }), [UNKNOWN, UNKNOWN, UNKNOWN]);
});

/** A value that is written but no good must not count as one that is not written: the default may let people in. */
const rows = [
  {
    name: "nothing written",
    data: {},
    route: {},
    means: { name: null, path: null, mode: "basic-auth", listen: DEFAULT_LISTEN },
  },
  { name: "a preset", data: {}, route: { preset: "bot-block" }, means: { name: "bot-block", mode: "allow" } },
  {
    name: "a preset's mode in other words",
    data: {},
    route: { preset: "bot-block", fallback: { mode: "deny" } },
    means: { mode: "deny" },
  },
  {
    name: "no such preset",
    data: {},
    route: { preset: "bot" },
    means: { name: null, mode: null, clearHeaders: null },
  },
  {
    name: "no such preset, and a mode",
    data: {},
    route: { preset: "bot", fallback: { mode: "allow" } },
    means: { mode: "allow" },
  },
  {
    name: "no such mode",
    data: {},
    route: { preset: "bot-block", fallback: { mode: "Deny" } },
    means: { mode: null, name: "bot-block" },
  },
  {
    name: "an empty mode",
    data: {},
    route: { preset: "bot-block", fallback: { mode: null } },
    means: { mode: null },
  },
  {
    name: "a fallback that is no mapping",
    data: {},
    route: { preset: "bot-block", fallback: "deny" },
    means: { mode: null, htpasswd: null },
  },
  {
    name: "an empty fallback",
    data: {},
    route: { preset: "bot-block", fallback: null },
    means: { mode: null, htpasswd: null },
  },
  {
    name: "the top's listen",
    data: { listen: "[::1]:1" },
    route: {},
    means: { listen: { host: "::1", port: 1 } },
  },
  {
    name: "a listen of its own",
    data: { listen: "[::1]:1" },
    route: { listen: "[::]:2" },
    means: { listen: { host: "::", port: 2 } },
  },
  {
    name: "no good listen of its own",
    data: { listen: "[::1]:1" },
    route: { listen: "x" },
    means: { listen: null },
  },
  { name: "no good listen at the top", data: { listen: "x" }, route: {}, means: { listen: null } },
  {
    name: "no good path, and a preset",
    data: {},
    route: { preset: "authentik", path: "x" },
    means: { path: null },
  },
  {
    name: "no good header among those to clear",
    data: {},
    route: { fallback: { clearHeaders: ["X-A", "Host"] } },
    means: { clearHeaders: null },
  },
  {
    name: "nothing to clear",
    data: {},
    route: { fallback: { clearHeaders: [] } },
    means: { clearHeaders: [] },
  },
];
for (const { name, data, route, means } of rows) {
  t.test(`a route with ${name}`, async (t) => {
    const [effective] = effectiveRoutes({ ...data, routes: [route] });
    for (const [key, value] of Object.entries(means))
      t.strictSame(effective?.[key as keyof typeof effective], value, key);
  });
}

const hostRows = [
  { name: "no mapping", host: "a.example", means: { host: null, mode: null, htpasswd: "f" } },
  {
    name: "a mode",
    host: { match: "A.example", fallback: { mode: "deny" } },
    means: { host: { kind: "exact", match: "a.example" }, mode: "deny", htpasswd: "f" },
  },
  { name: "no mode: not its route's", host: { match: "a", fallback: {} }, means: { mode: null } },
  {
    name: "a file of its own",
    host: { fallback: { htpasswd: "g" } },
    means: { htpasswd: "g", usernameHeader: "Remote-User" },
  },
  { name: "no good file: not its route's", host: { fallback: { htpasswd: 5 } }, means: { htpasswd: null } },
];
for (const { name, host, means } of hostRows) {
  t.test(`a host with ${name}`, async (t) => {
    const route = { preset: "authelia", fallback: { htpasswd: "f" }, hosts: [host] };
    const [effective] = effectiveRoutes({ routes: [route] })[0]?.hosts ?? [];
    for (const [key, value] of Object.entries(means))
      t.strictSame(effective?.[key as keyof typeof effective], value, key);
  });
}

t.test("what has a gap is never built", async (t) => {
  const whole = { a: 0, b: "", c: false };
  t.equal(settled(whole), whole);
  t.throws(() => settled({ ...whole, b: null }), { message: /has a gap/ });
  t.throws(() => settled(undefined), { message: /has a gap/ });
});
