/** The data path where its gateway gave up on a check, is about to, or the upstream is busy with others. */
import t from "tap";
import type { FallbackMode, Outcome } from "../../src/core/types.ts";
import { decisionOf, FALLBACKS, MODES, run, world } from "../support/check-world.ts";
import { check } from "../support/fixtures.ts";

const POLICIES = ["allow", "basic-auth", "deny"] as const;

t.test("a gateway that went away gets nothing; only one that waited long is evidence", async (t) => {
  const rows = [
    { name: "late: row 4", isLate: true, recorded: ["abandoned"], observed: ["given up"] },
    { name: "early: it says nothing", isLate: false, recorded: [], observed: ["nothing"] },
  ];
  for (const mode of MODES) {
    for (const { name, isLate, recorded, observed } of rows) {
      const made = world(
        { kind: "abandoned", isLate },
        { route: { fallback: FALLBACKS[mode] }, isKnownBad: true },
      );
      t.equal(await run(made), null, `${mode}: ${name}`);
      t.same(made.recorded, recorded, `${mode}: ${name}: recorded, and no decision`);
      t.same(made.observed, observed, `${mode}: ${name}: observed`);
      t.same(made.confirmations, [], `${mode}: ${name}: nobody waits for a probe`);
      t.same(made.attempts, [], `${mode}: ${name}: no password`);
      t.equal(made.context.state.inFlight, 0, `${mode}: ${name}: nothing left in flight`);
    }
  }
});

t.test("a gateway that is about to give up gets what is known at once", async (t) => {
  const fallen = {
    allow: "fallback 200 allow",
    "basic-auth": "fallback 401 challenge",
    deny: "fallback 503 deny",
  };
  for (const mode of POLICIES) {
    for (const isKnownBad of [true, false]) {
      const name = `${mode}, ${isKnownBad ? "known to be broken" : "not known"}`;
      const made = world(
        { kind: "hurried" },
        { route: { fallback: FALLBACKS[mode] }, isKnownBad, confirms: true },
      );
      const { source, reply, verdict, fallback } = await decisionOf(made);
      const summary = isKnownBad ? fallen[mode] : "shed 503 deny";
      t.equal(`${source} ${reply.status} ${verdict}`, summary, name);
      t.equal(fallback?.reason ?? null, isKnownBad ? "abandoned" : null, `${name}: reason`);
      t.equal(made.recorded[0], "abandoned", `${name}: recorded`);
      t.same(made.observed, ["given up"], `${name}: it is row 4 either way`);
      t.same(made.confirmations, [], `${name}: there is no time for a probe`);
    }
  }
});

t.test("an upstream that is busy with others is not broken", async (t) => {
  const shed = "shed 503";
  const rows: readonly {
    name: string;
    mode: FallbackMode;
    onOverload: "shed" | "fallback";
    summary: string;
  }[] = [
    { name: "allow, by default", mode: "allow", onOverload: "shed", summary: shed },
    {
      name: "allow, where sites must stay up",
      mode: "allow",
      onOverload: "fallback",
      summary: "fallback 200",
    },
    ...(["basic-auth", "deny", "none"] as const).map((mode) => ({
      ...{ name: mode, mode, onOverload: "shed" as const, summary: shed },
    })),
  ];
  for (const { name, mode, onOverload, summary } of rows) {
    const fallback = mode === "allow" ? ({ mode, onOverload } as const) : FALLBACKS[mode];
    const made = world({ kind: "busy" }, { route: { fallback }, confirms: true, isKnownBad: true });
    const { source, reply, fallback: fallen } = await decisionOf(made);
    t.equal(`${source} ${reply.status}`, summary, name);
    if (source === "fallback") t.equal(fallen?.reason, "overload", `${name}: reason`);
    t.same(made.observed, ["nothing"], `${name}: it is no evidence`);
    t.same(made.confirmations, [], `${name}: no probe`);
    t.notOk(
      made.recorded.some((line) => line.startsWith("fault")),
      `${name}: no fault`,
    );
  }
});

t.test("`onOverload` is for a busy upstream alone: our own limits always shed", async (t) => {
  const fallback = { mode: "allow", onOverload: "fallback" } as const;
  for (const kind of ["overload", "unsendable"] as const) {
    t.equal((await decisionOf(world({ kind }, { route: { fallback } }))).source, "shed", kind);
  }
  const full = world({ kind: "busy" }, { route: { fallback, maxInFlight: 1 }, inFlight: 1 });
  t.equal((await decisionOf(full)).source, "shed", "the route's limit of checks in flight");
});

t.test("`onOverload` goes by the policy of the check's host", async (t) => {
  const made = world(
    { kind: "busy" },
    {
      route: {
        fallback: FALLBACKS.deny,
        hosts: [
          {
            host: { kind: "exact", match: "open.example" },
            fallback: { mode: "allow", onOverload: "fallback" },
          },
        ],
      },
    },
  );
  const asked = check({ headers: ["Host", "open.example", "X-Forwarded-Host", "open.example"] });
  t.equal((await decisionOf(made, asked)).source, "fallback");
  t.equal((await decisionOf(made)).source, "shed");
});

t.test(
  "an exchange tells when its check waits unusually long, and for how long its gateway does",
  async (t) => {
    const outcome: Outcome = { kind: "abandoned", isLate: true };
    const made = world(outcome, { route: { gateway: "envoy" }, isProvenHost: true });
    await run(made, check({ headers: ["Host", "app", "x-envoy-expected-rq-timeout-ms", "200"] }));
    const trying = made.requests[0]?.trying;
    if (trying?.kind !== "check") throw new Error("a check may be tried again");
    t.equal(trying.patience, 200);
    t.equal(trying.isProvenHost(), true);
    trying.late();
    t.same(made.observed, ["given up", "late"]);
  },
);

t.test("a person who chose the upstream gets no fallback out of it", async (t) => {
  const allow = { mode: "allow", onOverload: "fallback" } as const;
  for (const outcome of [{ kind: "busy" }, { kind: "hurried" }] as const) {
    const made = world(outcome, { route: { fallback: allow }, isKnownBad: true, override: "upstream" });
    const { source, reply } = await decisionOf(made);
    t.equal(`${source} ${reply.status}`, "shed 503", outcome.kind);
  }
});
