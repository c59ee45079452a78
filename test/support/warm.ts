/**
 * Before a fault can be told from a client's doing, a probe must be proven: the upstream was well, challenged or passed
 * a check, and answered a probe of the same host alike.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { sample } from "./app.ts";
import { eventually } from "./processes.ts";

/** A verdict younger than a second stands against a probe that finds the upstream broken, so a scene lets it age. */
const VERDICT_AGE_MS = 1_050;

/** Between two checks that teach. A proof that failed, such as by a stall of this process, is tried again later. */
const TEACH_EVERY_MS = 500;

/** Resolves once the probes of `routes` are proven. `teach` sends a check to a route. */
export async function untilProven(
  metrics: () => Promise<string>,
  routes: readonly string[],
  teach: (route: string) => Promise<unknown>,
): Promise<void> {
  let left = routes;
  let taughtAt = Number.NEGATIVE_INFINITY;
  await eventually(
    () => `no proven probe: ${left.join(", ")}`,
    async () => {
      if (performance.now() - taughtAt >= TEACH_EVERY_MS) {
        taughtAt = performance.now();
        await Promise.all(left.map(teach));
      }
      const text = await metrics();
      left = routes.filter((route) => sample(text, `sparekey_probe_proven{route="${route}"}`) !== 1);
      return left.length === 0 ? true : null;
    },
  );
}

/** The same, and from then on a bad finding of a probe counts. No check may be sent meanwhile. */
export async function warmedUp(
  metrics: () => Promise<string>,
  routes: readonly string[],
  teach: (route: string) => Promise<unknown>,
): Promise<void> {
  await untilProven(metrics, routes, teach);
  await sleep(VERDICT_AGE_MS);
}

/** Those of `heads` that are checks of a gateway, and no probes. */
export function checksAmong(heads: readonly string[]): readonly string[] {
  return heads.filter((head) => !/\r\nuser-agent: sparekey\//i.test(head));
}
