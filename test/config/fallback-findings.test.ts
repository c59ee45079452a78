import t from "tap";
import { firstRoute, hostKeys, loginOf, oneRoute, problemsOf } from "../support/config-text.ts";

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
