/** The pages that a challenge leads to. */
import { mock } from "node:test";
import t from "tap";
import type { Outcome } from "../../src/core/types.ts";
import { answering, failing } from "../support/check-world.ts";
import { answer, check, PROBE_RULES } from "../support/fixtures.ts";
import { bringMany, FINE, fault, isConfirmed, LOGIN, scene, settled } from "../support/health-scene.ts";
import { upstreamAt } from "../support/raw-upstream.ts";

t.test("the login pages", async (t) => {
  const probe = { ...PROBE_RULES, loginHealth: [LOGIN] };
  await t.test("is not asked where none is set", async (t) => {
    const made = scene(t);
    t.equal(await made.health.areLoginsUp(), true);
    t.same([made.looks, made.probes], [[], []]);
  });

  await t.test("is asked once for all, without a word of a client", async (t) => {
    const made = scene(t, { probe });
    t.same(
      new Set(await Promise.all(Array.from({ length: 9 }, () => made.health.areLoginsUp()))),
      new Set([true]),
    );
    const headers = ["Host", "127.0.0.1:10", "User-Agent", "sparekey/1"];
    t.same(made.looks, [
      {
        method: "GET",
        target: "/-/health/ready/",
        headers,
        body: null,
        repeatable: true,
        trying: { kind: "once" },
      },
    ]);
    await made.advance(1_999);
    await made.health.areLoginsUp();
    t.equal(made.looks.length, 1, "a good result holds minInterval");
    await made.advance(1);
    made.login = () => answering(answer(503));
    t.equal(await made.health.areLoginsUp(), true, "the last one is served while it is asked again");
    await settled();
    t.equal(await made.health.areLoginsUp(), false);
    await made.advance(999);
    made.login = () => FINE;
    t.equal(await made.health.areLoginsUp(), false, "a bad one 1 s");
    await made.advance(1);
    await made.health.areLoginsUp();
    await settled();
    t.equal(await made.health.areLoginsUp(), true);
  });

  await t.test("that hangs holds up the first check only", async (t) => {
    const made = scene(t, { probe });
    const looks: ((outcome: Outcome) => void)[] = [];
    made.login = () => new Promise((resolve) => looks.push(resolve));
    const told = async (end: Outcome | null = null): Promise<boolean | "waits"> => {
      const asked = made.health.areLoginsUp();
      await settled();
      if (end) looks.shift()?.(end);
      return end ? asked : Promise.race([asked, settled().then(() => "waits" as const)]);
    };
    t.equal(await told(), "waits", "nothing is known yet");
    t.equal(await told(failing("read_timeout")), false);
    for (let round = 1; round <= 3; round += 1) {
      await made.advance(1_200);
      t.equal(await told(), false, "still down, while it is looked at again");
      await made.advance(60_000);
      t.equal(await told(), false, "however long that look takes");
      t.equal(made.looks.length, 1 + round, "one look at a time");
      looks.shift()?.(failing("read_timeout"));
      await settled();
    }
    await made.advance(1_000);
    t.equal(await told(), false);
    looks.shift()?.(FINE);
    await settled();
    t.equal(await told(), true, "up as soon as a look says so");

    await made.advance(3_600_000);
    t.equal(await told(), true, "a good result is used after its time too, while it is looked at again");
    looks.shift()?.(failing("read_timeout"));
    await settled();
    t.equal(await told(), false);
    await made.advance(3_600_000);
    t.equal(await told(), false, "and so is a bad one, however old");
    looks.shift()?.({ kind: "overload" });
    await settled();
    t.equal(await told(), "waits", "but not one that could not be made");
  });

  await t.test("all must work", async (t) => {
    const second = { upstream: upstreamAt(11), target: "/ready" };
    const made = scene(t, { probe: { ...PROBE_RULES, loginHealth: [LOGIN, second] } });
    t.same(made.health.upstreams.slice(2), [LOGIN.upstream, second.upstream]);
    made.upstream = () => answering(answer(503));
    t.equal(await made.health.areLoginsUp(), false);
    made.upstream = () => FINE;
    await made.advance(1_000);
    await made.health.areLoginsUp();
    await settled();
    t.equal(await made.health.areLoginsUp(), true);
  });

  await t.test("found down a moment ago lets no probe confirm a fault", async (t) => {
    const made = scene(t, { probe });
    made.upstream = () => answering(answer(302));
    made.login = () => failing("refused");
    t.equal(await made.health.areLoginsUp(), false);
    await made.advance(1_000);
    made.login = () => FINE;
    t.equal(await isConfirmed(made, check()), false);
  });

  await t.test("is up with a 2xx only; unknown is no reason to fall back", async (t) => {
    const rows = [
      { outcome: answering(answer(204)), isUp: true },
      { outcome: answering(answer(302)), isUp: false },
      { outcome: answering(answer(404)), isUp: false },
      { outcome: answering(answer(500)), isUp: false },
      { outcome: failing("refused"), isUp: false },
      { outcome: failing("read_timeout"), isUp: false },
      { outcome: { kind: "overload" }, isUp: true },
    ] as const;
    for (const { outcome, isUp } of rows) {
      const made = scene(t, { probe });
      made.login = () => outcome;
      t.equal(await made.health.areLoginsUp(), isUp, JSON.stringify(outcome));
      made.health.close();
      mock.timers.reset();
    }
  });

  await t.test("count for a probe that is challenged", async (t) => {
    for (const { status, confirmed } of [
      { status: 302, confirmed: true },
      { status: 200, confirmed: false },
      { status: 401, confirmed: true },
    ]) {
      const made = scene(t, { probe });
      made.upstream = () => answering(answer(status));
      made.login = () => failing("refused");
      t.equal(await isConfirmed(made, check()), confirmed, String(status));
      await bringMany(made, 20, fault("reset"));
      t.same(made.states, [], `${status}: and opens nothing`);
      made.health.close();
      mock.timers.reset();
    }
  });
});
