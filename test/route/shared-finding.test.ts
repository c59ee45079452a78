import t from "tap";
import { type Finding, findingOf, holds, LOGIN_DOWN, NOTHING_FOUND } from "../../src/core/probe.ts";
import { createSharedFinding } from "../../src/route/shared-finding.ts";
import { answering, failing } from "../support/check-world.ts";
import { answer, FAULT_RULES, PROBE_RULES } from "../support/fixtures.ts";

const FINE: Finding = findingOf(answering(answer(200)), FAULT_RULES);
const REFUSED: Finding = findingOf(answering(answer(403)), FAULT_RULES);
const FAULT: Finding = findingOf(failing("refused"), FAULT_RULES);

function scene() {
  let clock = 0;
  const made: ((finding: Finding) => void)[] = [];
  const shared = createSharedFinding(
    (finding) => holds(finding, { ...PROBE_RULES, minInterval: 2_000 }),
    () => clock,
  );
  const find = (): Promise<Finding> => new Promise((resolve) => made.push(resolve));
  const settle = (finding: Finding): void => made.at(-1)?.(finding);
  return {
    shared,
    get: (notBefore?: number) => shared.get(find, notBefore),
    getStale: () => shared.getStale(find),
    renew: (maxAge: number) => shared.renew(find, maxAge),
    /** Tells how many were begun. */
    begun: () => made.length,
    settle,
    /** One was found just now. */
    found: async (finding: Finding): Promise<void> => {
      const asked = shared.get(find);
      settle(finding);
      await asked;
    },
    advance: (milliseconds: number) => {
      clock += milliseconds;
    },
  };
}

const holdRows = [
  { name: "that passed holds for minInterval", finding: FINE, holds: 2_000 },
  { name: "that was a refusal clears only who asked", finding: REFUSED, holds: 0 },
  { name: "of a fault holds for a second", finding: FAULT, holds: 1_000 },
  { name: "of a suspect answer holds for a second", finding: LOGIN_DOWN, holds: 1_000 },
  { name: "that says nothing does not hold", finding: NOTHING_FOUND, holds: 0 },
];
for (const { name, finding, holds } of holdRows) {
  t.test(`a finding ${name}`, async (t) => {
    const { shared, get, begun, settle, advance } = scene();
    t.equal(shared.held, null, "nothing is known yet");
    const asked = [get(), get(), get()];
    t.equal(begun(), 1, "all who ask meanwhile wait for one");
    t.equal(shared.held, null, "nor while it is on its way");
    settle(finding);
    t.same(await Promise.all(asked), [finding, finding, finding]);
    if (holds > 0) {
      advance(holds - 1);
      t.equal(shared.held, finding);
      t.equal(await get(), finding);
      t.equal(begun(), 1, "to its last millisecond");
      advance(1);
    }
    t.equal(shared.held, null);
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
  t.equal(await get(), FINE);
  t.equal(begun(), 1);
});

t.test("one that began before what is in question says nothing of it", async (t) => {
  const rows = [
    { name: "it began later", notBefore: 999, isNew: false },
    { name: "it began at the same time", notBefore: 1_000, isNew: false },
    { name: "it began earlier", notBefore: 1_001, isNew: true },
  ];
  for (const { name, notBefore, isNew } of rows) {
    const { get, begun, advance, found } = scene();
    advance(1_000);
    await found(FINE);
    advance(500);
    void get(notBefore);
    t.equal(begun(), isNew ? 2 : 1, name);
  }
});

t.test("one that is on its way is of now, whenever it began", async (t) => {
  const { get, begun, settle, advance } = scene();
  const early = get();
  advance(1_000);
  const late = get(500);
  settle(FINE);
  t.same(await Promise.all([early, late]), [FINE, FINE]);
  t.equal(begun(), 1);
});

t.test("a stale one is served, however old, while it is asked again", async (t) => {
  const rows = [
    { name: "a good one", last: FINE, later: 2_000 },
    { name: "a bad one", last: FAULT, later: 1_000 },
    { name: "a refusal", last: REFUSED, later: 1 },
    { name: "a good one of yesterday", last: FINE, later: 86_400_000 },
    { name: "a bad one of yesterday", last: LOGIN_DOWN, later: 86_400_000 },
  ];
  for (const { name, last, later } of rows) {
    const { getStale, begun, settle, advance, found } = scene();
    await found(last);
    advance(later);
    t.equal(await getStale(), last, name);
    t.equal(begun(), 2, `${name}: it is asked again`);
    advance(60_000);
    t.equal(await getStale(), last, `${name}: as long as that takes`);
    t.equal(begun(), 2, `${name}: once`);
    const next = last === FINE ? FAULT : FINE;
    settle(next);
    await settled();
    t.equal(await getStale(), next, `${name}: the new one speaks as soon as it is there`);
    t.equal(begun(), 2, `${name}: and holds`);
  }
});

t.test("it waits for the first, and for the next where the last said nothing", async (t) => {
  const { getStale, settle, begun } = scene();
  const first = getStale();
  settle(NOTHING_FOUND);
  t.equal(await first, NOTHING_FOUND);
  const second = getStale();
  t.equal(begun(), 2);
  settle(FINE);
  t.equal(await second, FINE);
});

t.test("it is asked again early", async (t) => {
  const rows = [
    { name: "where nothing is known", last: null, later: 0, isAsked: true },
    { name: "not while a good one is young", last: FINE, later: 1_000, isAsked: false },
    { name: "where a good one is older, though it holds", last: FINE, later: 1_001, isAsked: true },
    { name: "not while a bad one holds", last: FAULT, later: 999, isAsked: false },
    { name: "where a bad one holds no longer", last: FAULT, later: 1_000, isAsked: true },
    { name: "where the last said nothing", last: NOTHING_FOUND, later: 0, isAsked: true },
  ];
  for (const { name, last, later, isAsked } of rows) {
    const { renew, begun, advance, found } = scene();
    if (last !== null) await found(last);
    advance(later);
    const before = begun();
    renew(1_000);
    t.equal(begun() - before, isAsked ? 1 : 0, name);
    renew(1_000);
    t.equal(begun() - before, isAsked ? 1 : 0, `${name}: one at a time`);
  }
});

/** Waits until everything has settled that needs no timer. */
function settled(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}
