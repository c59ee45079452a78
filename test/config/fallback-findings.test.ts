import t from "tap";
import { DENY, firstRoute, hostKeys, loginOf, oneRoute, problemsOf } from "../support/config-text.ts";

t.test("keys of the login that only a host uses are judged where they stand", async (t) => {
  const route = (keys: string) =>
    oneRoute(`preset: bot-block, fallback: { usernameHeader: X-A, clearHeaders: [x-a] }, ${hostKeys(keys)}`);
  const login = "match: a.example, fallback: { mode: basic-auth";
  t.match(await problemsOf(route(`${login} }`)), [
    /routes\[0\]\.fallback\.clearHeaders\[0\]: .* named twice/,
  ]);
  t.same(await problemsOf(route(`${login}, clearHeaders: [X-B] }`)), []);
  t.same(await problemsOf(route("match: a.example, fallback: { mode: deny }")), []);
});

t.test("a preset's defaults are judged as they are built", async (t) => {
  const login = loginOf(await firstRoute("preset: authelia, fallback: { clearHeaders: [X-A] }"));
  t.match(login, { usernameHeader: "Remote-User", clearHeaders: ["X-A"] });
  t.match(await problemsOf(oneRoute("preset: authelia, fallback: { clearHeaders: [remote-user] }")), [
    /clearHeaders\[0\]: value remote-user is named twice/,
  ]);
  t.match(await problemsOf(oneRoute("preset: authelia, fallback: { usernameHeader: remote-name }")), [
    /usernameHeader: value remote-name is cleared by the preset/,
  ]);
});

const matchRows = [
  { name: "a name under the rest of another's", hosts: ["*.a.example", "ba.example"], problems: [] },
  { name: "the name that all others are under", hosts: ["*.a.example", "a.example"], problems: [] },
  {
    name: "a deeper name",
    hosts: ["*.a.example", "x.y.a.example"],
    problems: [/hosts\[1\]\.match: .* never reached, since hosts\[0\]/],
  },
  { name: "the narrow one first", hosts: ["x.a.example", "*.a.example"], problems: [] },
  { name: "an exact one never covers others", hosts: ["a.example", "x.a.example"], problems: [] },
  {
    name: "the first that covers is named",
    hosts: ["*.example", "*.a.example", "x.a.example"],
    problems: [/hosts\[1\]\.match: .* since hosts\[0\]/, /hosts\[2\]\.match: .* since hosts\[0\]/],
  },
  {
    name: "twice, in other letters",
    hosts: ["A.example", "a.EXAMPLE"],
    problems: [/hosts\[1\]\.match: .* the match of hosts\[0\] already/],
  },
  {
    name: "one that is no good covers nothing",
    hosts: ["*", "a.example"],
    problems: [/hosts\[0\]\.match: .* is not a host to match/],
  },
];
for (const { name, hosts, problems } of matchRows) {
  t.test(`hosts that are never reached: ${name}`, async (t) => {
    const keys = hostKeys(...hosts.map((match) => `match: '${match}', ${DENY}`));
    const found = await problemsOf(oneRoute(`preset: authentik, ${keys}`));
    t.match(found, problems);
    t.equal(found.length, problems.length);
  });
}

const headerRows = [
  {
    name: "the preset's, in other letters",
    keys: "usernameHeader: x-authentik-UID",
    problems: [/is cleared by the preset; write clearHeaders without it/],
  },
  {
    name: "its own list without it",
    keys: "usernameHeader: X-authentik-uid, clearHeaders: [X-A]",
    problems: [],
  },
  { name: "nothing to clear", keys: "usernameHeader: X-authentik-uid, clearHeaders: []", problems: [] },
  {
    name: "its own list with it",
    keys: "usernameHeader: X-A, clearHeaders: [X-B, x-a]",
    problems: [/clearHeaders\[1\]: value x-a is named twice/],
  },
  {
    name: "a mode without a login",
    keys: "mode: deny, usernameHeader: X-A, clearHeaders: [X-A]",
    problems: [],
  },
];
for (const { name, keys, problems } of headerRows) {
  t.test(`the header that names the user: ${name}`, async (t) => {
    const found = await problemsOf(oneRoute(`preset: authentik, fallback: { ${keys} }`));
    t.match(found, problems);
    t.equal(found.length, problems.length);
  });
}
