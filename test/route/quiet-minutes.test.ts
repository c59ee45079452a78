/** How many probes there are while all is well. Each leaves a session behind in the upstream's store. */
import t from "tap";
import type { Questioned } from "../../src/core/answer-check.ts";
import type { Verdict } from "../../src/core/types.ts";
import { RouteHealth } from "../../src/route/route-health.ts";
import { answering } from "../support/check-world.ts";
import { answer, check, route } from "../support/fixtures.ts";

const MINUTES = 5;
const EVERY_MS = 50;
const HOSTS = ["a.example", "b.example", "c.example", "d.example"];

function scene() {
  let clock = 1_000_000;
  const asked: string[] = [];
  const health = new RouteHealth(
    route(),
    {
      ask: async (_upstream, { headers }) => {
        asked.push(headers[headers.indexOf("X-Forwarded-Host") + 1] ?? "");
        return answering(answer(302));
      },
      record: { probe: () => {}, proven: () => {}, breaker: () => {} },
      recovered: () => {},
      now: () => clock,
      random: () => 0,
      userAgent: "sparekey/1",
    },
    null,
  );
  const questioned = (host: string, client: number): Questioned => ({
    check: check({ headers: ["Host", "sparekey", "X-Forwarded-Host", host] }),
    begin: clock,
    client: () => `192.0.2.${client}`,
  });
  const bring = (one: Questioned, verdict: Verdict): void => {
    const admission = health.admit(one.check);
    if (admission.kind === "ask") health.observe(admission, one, verdict, clock);
  };
  /** Calls `each` every 50 ms for five minutes. */
  const minutes = async (each: (count: number) => Promise<void> | void): Promise<void> => {
    for (let count = 0; count < (MINUTES * 60_000) / EVERY_MS; count += 1) {
      clock += EVERY_MS;
      await each(count);
      await settled();
    }
  };
  return { health, asked, questioned, bring, minutes };
}

function settled(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}

const CHALLENGE: Verdict = { kind: "challenge", answer: answer(302) };
const ALLOW: Verdict = { kind: "allow", answer: answer(200) };
const SUSPECT = { kind: "suspect", reason: "status_500", answer: answer(500) } as const;

t.test("in quiet minutes each host in use is proven once, and no probe follows", async (t) => {
  const made = scene();
  await made.minutes((count) => {
    const host = HOSTS[count % HOSTS.length] ?? "";
    made.bring(made.questioned(host, count % 7), count % 3 === 0 ? CHALLENGE : ALLOW);
  });
  t.same(made.asked.toSorted(), HOSTS);
});

t.test("checks that wait unusually long cause none while others are answered as ever", async (t) => {
  const made = scene();
  await made.minutes((count) => {
    const host = HOSTS[count % HOSTS.length] ?? "";
    const late = made.questioned(host, 9);
    made.bring(made.questioned(host, count % 7), CHALLENGE);
    made.health.late({ ...late, begin: late.begin - 1_000 });
  });
  t.same(made.asked.toSorted(), HOSTS);
});

t.test("one client that brings about the same suspicion again and again causes few", async (t) => {
  const made = scene();
  await made.minutes(async (count) => {
    made.bring(made.questioned("a.example", count % 7), CHALLENGE);
    if (count % 10 === 9) await made.health.judge(made.questioned("a.example", 9), SUSPECT, "basic-auth");
  });
  // It is held for 2 s, 4 s, 8 s … and then for a minute each time.
  t.ok(made.asked.length <= 1 + 5 + MINUTES, `${made.asked.length} probes`);
});
