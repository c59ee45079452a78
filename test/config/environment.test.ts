import t from "tap";
import { expandEnvironment } from "../../src/config/environment.ts";
import { firstRoute, problemsOf, snapshotOf } from "../support/config-text.ts";

t.test("an entry of a list may come from the environment", async (t) => {
  const { routes } = await snapshotOf(`routes: [{ preset: authentik, upstream: ["\${A}", "http://b"] }]`, {
    A: "http://a",
  });
  t.same(routes[0]?.upstream.servers, [
    { host: "a", port: 80 },
    { host: "b", port: 80 },
  ]);
});

t.test("environment variables fill in parts of values", async (t) => {
  const keys = `preset: authentik, timeouts: { read: '\${READ}s' }, fallback: { realm: '\${A} and \${B}' }`;
  const route = await firstRoute(keys, { READ: "2", A: "one", B: `\${A}` });
  t.equal(route.upstream.timeouts.read, 2000);
  t.match(route.fallback, { realm: `one and \${A}` }, "what a variable holds is not expanded again");
});

t.test("an environment variable cannot add keys", async (t) => {
  const route = await firstRoute(`preset: authentik, fallback: { realm: '\${REALM}' }`, {
    REALM: "x }, maxInFlight: 1",
  });
  t.equal(route.maxInFlight, 1024);
});

t.test("inherited names are no environment variables", async (t) => {
  t.match(await problemsOf(`listen: \${toString}\nroutes: []`), [/toString is not set/, /holds no route/]);
});

const ENV = { A: "one", EMPTY: "", DOLLAR: `$& $1 \${A}`, _a1: "low", NOT_SET: undefined };
const expanded = [
  { name: "no reference", text: "a $A $$ } {", result: "a $A $$ } {" },
  { name: "side by side", text: `\${A}\${A}`, result: "oneone" },
  { name: "after a dollar", text: `$\${A}`, result: "$one" },
  { name: "before a brace", text: `\${A}}`, result: "one}" },
  { name: "a variable that is empty", text: `x\${EMPTY}y`, result: "xy" },
  { name: "what replacements would mean", text: `<\${DOLLAR}>`, result: `<$& $1 \${A}>` },
  { name: "small letters, digits and _", text: `\${_a1}`, result: "low" },
];
for (const { name, text, result } of expanded) {
  t.test(`filled in: ${name}`, async (t) => t.same(expandEnvironment(text, ENV), { ok: true, text: result }));
}

const BROKEN = `holds a broken reference; write \${NAME} with letters, digits and _`;
const refused = [
  { name: "no name", text: `\${}`, messages: [BROKEN] },
  { name: "a digit first", text: `\${1A}`, messages: [BROKEN] },
  { name: "a blank", text: `\${A }`, messages: [BROKEN] },
  { name: "a default, as shells write it", text: `\${A:-one}`, messages: [BROKEN] },
  { name: "not closed", text: `\${A`, messages: [BROKEN] },
  { name: "not closed before another", text: `\${A \${A}`, messages: [BROKEN] },
  { name: "not set", text: `\${NONE}`, messages: ["environment variable NONE is not set"] },
  { name: "set to nothing", text: `\${NOT_SET}`, messages: ["environment variable NOT_SET is not set"] },
  { name: "inherited", text: `\${__proto__}`, messages: ["environment variable __proto__ is not set"] },
  {
    name: "each by itself, and nothing that stands around them",
    text: `hunter2\${NONE}\${A}\${`,
    messages: ["environment variable NONE is not set", BROKEN],
  },
];
for (const { name, text, messages } of refused) {
  t.test(`not filled in: ${name}`, async (t) =>
    t.same(expandEnvironment(text, ENV), { ok: false, messages }),
  );
}
