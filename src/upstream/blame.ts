/** What a verdict says of the check's other attempts: it was not the client's doing that they brought none. */
import type { EjectedFrom } from "../core/endpoint.ts";
import type { FaultReason } from "../core/types.ts";
import type { Attempt } from "./attempt.ts";
import type { Endpoint } from "./endpoint.ts";
import type { Endpoints } from "./endpoints.ts";
import type { Suspect } from "./findings.ts";

/** An attempt is as good as silent if it has waited so many times longer than the one that answered. */
const SLOWER_BY = 4;

interface Won {
  readonly winner: Attempt;
  readonly attempts: readonly Attempt[];
  readonly suspects: readonly Suspect[];
  readonly hasCookie: boolean;
  /** Milliseconds that an attempt may take before another is sent beside it. */
  readonly hedgeDelay: number;
  readonly now: number;
}

/** Cuts the attempts that are still under way, and tells the endpoints of all that were worse than the winner. */
export function blameOthers(
  endpoints: Endpoints,
  { winner, attempts, suspects, hasCookie, hedgeDelay, now }: Won,
): void {
  /** Where both were asked at one endpoint, nothing tells its good servers from its bad ones. */
  const blame = (endpoint: Endpoint | null, reason: FaultReason, from: EjectedFrom): void => {
    if (endpoint !== null && endpoint !== winner.endpoint) endpoints.failed(endpoint, reason, from);
  };
  const late = Math.max(hedgeDelay, SLOWER_BY * (now - winner.beganAt));
  for (const other of attempts) {
    if (other === winner || other.isOver) continue;
    other.cut();
    if (now - other.beganAt < late) continue;
    blame(other.endpoint, other.record ? "read_timeout" : "connect_timeout", "all");
  }
  for (const { endpoint, reason } of suspects) blame(endpoint, reason, hasCookie ? "all" : "cookieless");
}
