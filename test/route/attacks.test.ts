/** What single clients and crowds did to a route's health before it held them off. */
import { mock } from "node:test";
import t from "tap";
import type { Outcome, UpstreamRequest } from "../../src/core/types.ts";
import { answering } from "../support/check-world.ts";
import { answer, PROBE_RULES } from "../support/fixtures.ts";
import {
  admitted,
  bring,
  type Exchange,
  from,
  hostsOf,
  isConfirmed,
  prove,
  questioned,
  scene,
  settled,
  verdict,
} from "../support/health-scene.ts";

function hostOf(request: UpstreamRequest): string | undefined {
  return hostsOf([request])[0];
}

/** One host is answered 500 whatever the upstream does, one needs no login, and all others are challenged. */
const withBrokenHost: Exchange = (request) => {
  const host = hostOf(request);
  if (host === "broken") return answering(answer(500));
  return answering(answer(host === "public" ? 200 : 302));
};

t.test(
  "regression: who visits a broken host once a minute keeps no challenge from being proven",
  async (t) => {
    const made = scene(t);
    made.upstream = withBrokenHost;
    t.equal(await isConfirmed(made, from("broken")), true);
    await made.advance(1_000);
    await bring(made, verdict("allow"), from("public"));
    t.same(made.proofs, [], "an allow shows less, so it waits for a minute without a bad probe");
    await bring(made, verdict("challenge"), from("app"));
    t.same(made.proofs, ["challenge"]);
    t.equal(
      await isConfirmed(made, from("broken")),
      false,
      "and from then on the upstream is known to be well",
    );
  },
);

t.test("regression: of a crowd that hangs up, not all wait for the probe", async (t) => {
  const made = scene(t);
  await prove(made, "challenge");
  const { promise, resolve } = Promise.withResolvers<Outcome>();
  made.upstream = () => promise;
  const asking = admitted(made);
  const one = questioned(made);
  const keys: string[] = [];
  // The client's key is made for each that waits.
  const client = (): string => {
    keys.push("client");
    return "client";
  };
  const counted = { ...one, client };
  for (let count = 0; count < 5_000; count += 1) made.health.gaveUp(asking, counted);
  await settled();
  t.equal(keys.length, 1_000);
  resolve({ kind: "failure", reason: "read_timeout", silent: true });
  await settled();
  t.same(made.states, ["open abandoned"], "and these open the breaker");
  made.health.gaveUp(asking, counted);
  t.equal(keys.length, 1_001, "then there is room again");
});

t.test(
  "regression: in an outage since the start, a host that needs no login clears no other one",
  async (t) => {
    const rows = [
      { name: "by a finding that holds", others: ["public"] },
      { name: "by a probe on its way", others: [] },
    ];
    for (const { name, others } of rows) {
      const made = scene(t);
      made.upstream = (request) => answering(answer(hostOf(request) === "public" ? 200 : 400));
      for (const other of others)
        t.equal(await isConfirmed(made, from(other)), false, `${name}: its own check`);
      const asked = [isConfirmed(made, from("public")), isConfirmed(made, from("app"))];
      t.same(await Promise.all(asked), [false, true], name);
      t.same(hostsOf(made.probes), ["public", "app"], `${name}: one after the other`);
      made.health.close();
      mock.timers.reset();
    }
  },
);

t.test("regression: one host that hangs alone lets in nobody whose gateway is about to leave", async (t) => {
  const made = scene(t, { probe: { ...PROBE_RULES, hosts: ["one", "two"] } });
  await prove(made, "challenge", "app");
  const { promise, resolve } = Promise.withResolvers<Outcome>();
  made.upstream = (request) => (hostOf(request) === "one" ? promise : answering(answer(302)));
  await isConfirmed(made, from("app"));
  await made.advance(PROBE_RULES.minInterval + 500);
  resolve({ kind: "failure", reason: "read_timeout", silent: true });
  await settled();
  t.equal(made.health.isKnownBad(from("app"), "allow"), false, "what was found of the other holds no longer");
});
