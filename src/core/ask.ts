import type { Upstream } from "./snapshot.ts";
import type { Gone, Outcome, UpstreamRequest, Waiting } from "./types.ts";

/** Sends a request of our own. It settles within the upstream's `timeouts.total` and never rejects. */
export type Ask = (
  upstream: Upstream,
  request: UpstreamRequest,
  gone: Gone,
  waiting: Waiting,
) => Promise<Outcome>;
