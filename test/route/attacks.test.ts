/** What single clients and crowds did to a route's health before it held them off. */
import t from "tap";
import type { UpstreamRequest } from "../../src/core/types.ts";
import { answering } from "../support/check-world.ts";
import { answer } from "../support/fixtures.ts";
import { bring, type Exchange, from, hostsOf, isConfirmed, scene, verdict } from "../support/health-scene.ts";

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
