import t from "tap";
import type { OverrideEvent } from "../../src/core/types.ts";
import { createOverrides } from "../../src/route/overrides.ts";

function scene() {
  const clock = { now: 0 };
  const events: OverrideEvent[] = [];
  const overrides = createOverrides(
    () => clock.now,
    (event) => events.push(event),
  );
  return { clock, events, overrides };
}

const BEGINS = { kind: "begins", route: "sso", mode: "fallback", seconds: 60, user: "eve", reason: "drill" };
const ENDED = { kind: "ended", route: "sso", mode: "fallback", user: null };

t.test("it holds for its time and no longer, also before anybody looks", async (t) => {
  const { clock, events, overrides } = scene();
  t.equal(overrides.of("sso"), null);
  overrides.set("sso", { mode: "fallback", reason: "drill" }, 60_000, "eve");
  t.equal(overrides.of("sso"), "fallback");
  t.equal(overrides.of("other"), null);
  clock.now = 59_999;
  overrides.tick();
  t.equal(overrides.of("sso"), "fallback");
  clock.now = 60_000;
  t.equal(overrides.of("sso"), null);
  overrides.tick();
  overrides.tick();
  t.same(events, [BEGINS, { ...ENDED, by: "expiry" }]);
});

t.test("how it ends otherwise", async (t) => {
  const rows: readonly {
    name: string;
    act: (made: ReturnType<typeof scene>) => void;
    events: readonly unknown[];
  }[] = [
    {
      name: "cleared",
      act: ({ overrides }) => overrides.clear("sso", "bob"),
      events: [{ ...ENDED, by: "person", user: "bob" }],
    },
    {
      name: "its route is gone",
      act: ({ overrides }) => overrides.keep(["other"]),
      events: [{ ...ENDED, by: "reload" }],
    },
    { name: "its route stays", act: ({ overrides }) => overrides.keep(["sso"]), events: [] },
    { name: "another one is cleared", act: ({ overrides }) => overrides.clear("other", "bob"), events: [] },
    {
      name: "replaced",
      act: ({ overrides }) => overrides.set("sso", { mode: "upstream", reason: "drill" }, 1_000, "bob"),
      events: [
        { ...ENDED, by: "person", user: "bob" },
        { ...BEGINS, mode: "upstream", seconds: 1, user: "bob" },
      ],
    },
    {
      name: "regression: renewed",
      act: ({ overrides }) => overrides.set("sso", { mode: "fallback", reason: "drill" }, 1_000, "bob"),
      events: [{ ...BEGINS, seconds: 1, user: "bob" }],
    },
    {
      name: "cleared after its time, unseen",
      act: ({ clock, overrides }) => {
        clock.now = 60_000;
        overrides.clear("sso", "bob");
      },
      events: [{ ...ENDED, by: "expiry" }],
    },
  ];
  for (const { name, act, events } of rows) {
    const made = scene();
    made.overrides.set("sso", { mode: "fallback", reason: "drill" }, 60_000, "eve");
    act(made);
    t.same(made.events.slice(1), events, name);
  }
});
