import type { Upstream } from "./snapshot.ts";
import type { Gone, Outcome, UpstreamRequest, Waiting } from "./types.ts";

/** Sends a request of our own. It always settles, within `timeouts.total` of the upstream, and never rejects. */
export type Ask = (
  upstream: Upstream,
  request: UpstreamRequest,
  gone: Gone,
  waiting: Waiting,
) => Promise<Outcome>;
