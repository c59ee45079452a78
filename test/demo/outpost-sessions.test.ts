import t from "tap";
import { createOutpostSessions } from "../../src/demo/outpost-sessions.ts";

const TARGET = "http://app.example.com/page";

t.test("a login needs its state, its code and the session that began it", async (t) => {
  const rows = [
    { name: "all three", change: {}, isIn: true },
    { name: "another state", change: { state: "other" }, isIn: false },
    { name: "another code", change: { code: "other" }, isIn: false },
    { name: "another session", change: { session: "other" }, isIn: false },
    { name: "no session", change: { session: null }, isIn: false },
  ];
  for (const { name, change, isIn } of rows) {
    const sessions = createOutpostSessions();
    const begun = sessions.begin(null, TARGET);
    const code = sessions.grant(begun.state) ?? "";
    const sent = { ...begun, code, ...change };
    const done = sessions.finish(sent.state, sent.code, sent.session);
    t.equal(sessions.signedIn(done?.session ?? null), isIn, name);
    t.equal(done?.target ?? null, isIn ? TARGET : null, name);
  }
});

t.test("a login is finished once, in a new session, until the sign-out", async (t) => {
  const sessions = createOutpostSessions();
  const { state, session } = sessions.begin(null, TARGET);
  t.equal(sessions.finish(state, "", session), null, "not before the password");
  const code = sessions.grant(state) ?? "";
  const done = sessions.finish(state, code, session);
  t.notOk(sessions.signedIn(session), "the old session stays worthless");
  t.ok(sessions.signedIn(done?.session ?? null));
  t.equal(sessions.finish(state, code, session), null);
  t.equal(sessions.grant(state), null);
  sessions.signOut(done?.session ?? null);
  t.notOk(sessions.signedIn(done?.session ?? null));
});

t.test("a cookie keeps its session only if it looks like one", async (t) => {
  const sessions = createOutpostSessions();
  const { session } = sessions.begin(null, TARGET);
  t.equal(sessions.begin(session, TARGET).session, session);
  for (const odd of ["", "short", `${session}0`, session.toUpperCase().replace(/\d/g, "A")])
    t.not(sessions.begin(odd, TARGET).session, odd, odd);
});

t.test("the oldest of more than 1000 logins is forgotten", async (t) => {
  const sessions = createOutpostSessions();
  const states = Array.from({ length: 1001 }, () => sessions.begin(null, TARGET).state);
  t.same(
    states.map((state) => sessions.attempt(state) !== null),
    [false, ...Array(1000).fill(true)],
  );
});
