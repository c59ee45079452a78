import t from "tap";
import type { ProbeResult } from "../../src/core/probe.ts";
import { createSharedProbeResult } from "../../src/route/shared-probe-result.ts";
import { PROBE_RULES } from "../support/fixtures.ts";

const FINE: ProbeResult = { kind: "fine", passed: true };
const REFUSED: ProbeResult = { kind: "fine", passed: false };
const FAULT: ProbeResult = { kind: "fault", reason: "refused" };
const SUSPECT: ProbeResult = { kind: "suspect", reason: "login_down" };
const UNKNOWN: ProbeResult = { kind: "unknown" };

function scene() {
  let clock = 0;
  const made: ((finding: ProbeResult) => void)[] = [];
  const shared = createSharedProbeResult({ ...PROBE_RULES, minInterval: 2_000 }, () => clock);
  const find = (): Promise<ProbeResult> => new Promise((resolve) => made.push(resolve));
  return {
    get: () => shared.get(find),
    getSoon: () => shared.getSoon(find),
    /** Tells how many were begun. */
    begun: () => made.length,
    settle: (finding: ProbeResult) => made.at(-1)?.(finding),
    advance: (milliseconds: number) => {
      clock += milliseconds;
    },
  };
}

const holdRows = [
  { name: "that passed holds for minInterval", finding: FINE, holds: 2_000 },
  { name: "that was a refusal clears only who asked", finding: REFUSED, holds: 0 },
  { name: "of a fault holds for a second", finding: FAULT, holds: 1_000 },
  { name: "of a suspect answer holds for a second", finding: SUSPECT, holds: 1_000 },
  { name: "that says nothing does not hold", finding: UNKNOWN, holds: 0 },
];
for (const { name, finding, holds } of holdRows) {
  t.test(`a finding ${name}`, async (t) => {
    const { get, begun, settle, advance } = scene();
    const asked = [get(), get(), get()];
    t.equal(begun(), 1, "all who ask meanwhile wait for one");
    settle(finding);
    t.same(await Promise.all(asked), [finding, finding, finding]);
    if (holds > 0) {
      advance(holds - 1);
      t.same(await get(), finding);
      t.equal(begun(), 1, "to its last millisecond");
      advance(1);
    }
    void get();
    t.equal(begun(), 2, "then it is made anew");
  });
}

t.test("it holds from when it was found, not from when it was asked for", async (t) => {
  const { get, begun, settle, advance } = scene();
  const asked = get();
  advance(60_000);
  settle(FINE);
  await asked;
  advance(1_999);
  t.same(await get(), FINE);
  t.equal(begun(), 1);
});

const soonRows = [
  { name: "nothing is known yet: it waits", last: null, later: 0, isLast: false },
  { name: "a bad one has just ended", last: FAULT, later: 1_000, isLast: true },
  { name: "a bad one ended, and the next begins within 5 s", last: SUSPECT, later: 5_999, isLast: true },
  { name: "a bad one is too old to speak", last: FAULT, later: 6_000, isLast: false },
  { name: "a good one has ended: it waits", last: FINE, later: 2_000, isLast: false },
];
for (const { name, last, later, isLast } of soonRows) {
  t.test(`a finding that is wanted soon: ${name}`, async (t) => {
    const { get, getSoon, begun, settle, advance } = scene();
    if (last !== null) {
      const asked = get();
      settle(last);
      await asked;
    }
    advance(later);
    const before = begun();
    const soon = getSoon();
    t.equal(begun(), before + 1, "the next one is made in any case");
    if (isLast) t.same(await soon, last);
    advance(60_000);
    if (isLast) t.same(await getSoon(), last, "as long as it takes, once it was begun in time");
    settle(FINE);
    t.same(await soon, isLast ? last : FINE);
    t.same(await getSoon(), FINE, "the new one speaks as soon as it is there");
  });
}
