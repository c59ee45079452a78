import t from "tap";
import { createLitter, litterKey } from "../../src/core/litter.ts";
import type { Undecided } from "../../src/core/types.ts";
import { answer, check } from "../support/fixtures.ts";

const MIN = 2_000;

/** For how many milliseconds the suspicion needs no probe, as of `now`. */
function holdsFor(litter: ReturnType<typeof createLitter>, key: string, now: number): number {
  const ends = [0, 1_000, MIN, 4_000, 8_000, 16_000, 32_000, 60_000, 90_000, 3_600_000];
  const end = ends.find((milliseconds) => !litter.isCleared(key, now + milliseconds)) ?? Infinity;
  return end > 0 && litter.isCleared(key, now + end - 1) ? end : 0;
}

t.test("a suspicion that is cleared again needs no probe for twice as long, up to a minute", async (t) => {
  const litter = createLitter();
  let now = 0;
  t.equal(holdsFor(litter, "a", now), 0, "nothing was cleared yet");
  for (const expected of [2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000]) {
    litter.cleared("a", MIN, now);
    t.equal(holdsFor(litter, "a", now), expected, `${expected} ms`);
    now += expected;
    t.equal(litter.isCleared("a", now), false, `${expected} ms: no longer`);
  }
});

t.test("a suspicion of another address or kind is judged by itself", async (t) => {
  const litter = createLitter();
  litter.cleared("status_500 192.0.2.1", MIN, 0);
  t.equal(litter.isCleared("status_500 192.0.2.2", 0), false);
  t.equal(litter.isCleared("bare_400 192.0.2.1", 0), false);
  litter.cleared("status_500 192.0.2.1", MIN, 0);
  litter.cleared("status_500 192.0.2.2", MIN, 0);
  t.equal(holdsFor(litter, "status_500 192.0.2.2", 0), MIN);
});

t.test("a longer `minInterval` of the config is no shorter for it", async (t) => {
  const litter = createLitter();
  litter.cleared("a", 90_000, 0);
  t.equal(holdsFor(litter, "a", 0), 90_000);
  litter.cleared("a", 90_000, 0);
  t.equal(holdsFor(litter, "a", 0), 90_000);
});

t.test("after a bad probe nothing is cleared any more, and nothing has doubled", async (t) => {
  const litter = createLitter();
  litter.cleared("a", MIN, 0);
  litter.cleared("a", MIN, 0);
  litter.forget();
  t.equal(litter.isCleared("a", 0), false);
  litter.cleared("a", MIN, 0);
  t.equal(holdsFor(litter, "a", 0), MIN);
});

t.test("1,024 suspicions are kept, the latest", async (t) => {
  const litter = createLitter();
  litter.cleared("first", MIN, 0);
  litter.cleared("second", MIN, 0);
  litter.cleared("first", MIN, 0);
  for (let index = 0; index < 1_023; index += 1) litter.cleared(`flood ${index}`, MIN, 0);
  t.equal(litter.isCleared("second", 0), false);
  t.equal(litter.isCleared("first", 0), true, "it was cleared again since");
  litter.cleared("one more", MIN, 0);
  t.equal(litter.isCleared("first", 0), false);
});

t.test("what a suspicion is kept by", async (t) => {
  const about = ["X-Forwarded-Host", "App.example", "X-Forwarded-Uri", "/hooks/x?token=1"];
  const nameless: Undecided = { kind: "suspect", reason: "unexpected", answer: answer(200) };
  const unsaved: Undecided = { kind: "suspect", reason: "unexpected", answer: answer(302) };
  const broken: Undecided = { kind: "suspect", reason: "status_500", answer: answer(500) };
  const rows = [
    { name: "an error is its client's", headers: about, verdict: broken, key: "status_500 of a" },
    { name: "so is a challenge", headers: about, verdict: unsaved, key: "unexpected of a" },
    {
      name: "an open path is open to all",
      headers: about,
      verdict: nameless,
      key: "open app.example /hooks/x?token=1",
    },
    { name: "a cookie may be why", headers: [...about, "Cookie", "x"], verdict: nameless, key: null },
    {
      name: "and so may credentials",
      headers: [...about, "Authorization", "x"],
      verdict: nameless,
      key: null,
    },
    {
      name: "an odd method is let through whatever is asked for",
      headers: [...about, "X-Forwarded-Method", "OPTIONS"],
      verdict: nameless,
      key: null,
    },
    {
      name: "a URI too long to keep",
      headers: [...about.slice(0, 2), "X-Forwarded-Uri", `/${"x".repeat(1_024)}`],
      verdict: nameless,
      key: null,
    },
    { name: "no URI", headers: about.slice(0, 2), verdict: nameless, key: null },
    { name: "no host", headers: about.slice(2), verdict: nameless, key: null },
  ];
  for (const { name, headers, verdict, key } of rows)
    t.equal(litterKey(check({ headers }), verdict, "a", "traefik"), key, name);
});
