import t from "tap";
import type { FallbackChange } from "../../src/core/types.ts";
import { createSharedFallback } from "../../src/notify/shared-fallback.ts";

const BEGAN = { event: "fallback_began", route: "sso", mode: "deny", reason: "refused" } as const;
const OTHER = { ...BEGAN, reason: "dns" } as const;
const ended = (seconds: number): FallbackChange => ({ ...BEGAN, event: "fallback_ended", seconds });

function scene() {
  const clock = { now: 0 };
  const told: FallbackChange[] = [];
  const timers: (() => void)[] = [];
  const shared = createSharedFallback({
    tell: (change) => told.push(change),
    now: () => clock.now,
    later: (_milliseconds, run) => timers.push(run),
  });
  return { clock, told, timers, shared };
}

t.test("the first to enter and the last to leave are told of, and how it began for the first", async (t) => {
  const { clock, told, shared } = scene();
  shared.take(1, BEGAN);
  clock.now = 2_000;
  shared.take(2, OTHER);
  shared.take(1, ended(1));
  t.same(told, [BEGAN]);
  clock.now = 100_000;
  shared.take(2, ended(30));
  t.same(told, [BEGAN, ended(32)], "from the first fallback to the last of any worker");
});

t.test("routes do not mix", async (t) => {
  const { told, shared } = scene();
  const elsewhere = { ...BEGAN, route: "login" };
  shared.take(1, BEGAN);
  shared.take(1, elsewhere);
  t.same(told, [BEGAN, elsewhere]);
});

t.test("a worker that died has left after the quiet minute", async (t) => {
  const { clock, told, timers, shared } = scene();
  shared.take(1, BEGAN);
  clock.now = 5_000;
  shared.lost(1);
  t.same(told, [BEGAN]);
  clock.now = 65_000;
  for (const run of timers) run();
  t.same(told, [BEGAN, ended(5)]);
});

t.test("its successor meets the same: no news, and its word counts from then on", async (t) => {
  const { clock, told, timers, shared } = scene();
  shared.take(1, BEGAN);
  shared.lost(1);
  clock.now = 3_000;
  shared.take(1, BEGAN);
  for (const run of timers) run();
  t.same(told, [BEGAN]);
  shared.take(1, ended(9));
  t.same(told, [BEGAN, ended(12)]);
});

t.test("an end without a begin is none", async (t) => {
  const { told, shared } = scene();
  shared.take(1, ended(1));
  shared.lost(2);
  t.same(told, []);
});
