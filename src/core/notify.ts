/**
 * Messages to webhooks that a route entered or left fallback: what a message says, what the answer to it means, and
 * when it is sent again. A message holds nothing that a client sent.
 */
import { addressText } from "./address-text.ts";
import { overridden } from "./headers.ts";
import type { NotifyTarget, Upstream } from "./snapshot.ts";
import type { FallbackChange, NotifyReason, Outcome, UpstreamRequest } from "./types.ts";

/** JSON text. `unixMs`: when the change happened; `instance`: the name of this machine or container. */
export function notifyMessage(change: FallbackChange, unixMs: number, instance: string): string {
  const { event, route, mode, reason } = change;
  return JSON.stringify({
    event,
    route,
    mode,
    reason,
    time: new Date(unixMs).toISOString(),
    instance,
    ...(event === "fallback_ended" && { seconds: change.seconds }),
    text: `sparekey on ${instance}: ${sentenceOf(change)}`,
  });
}

/** The sentence that chat programs show. */
function sentenceOf(change: FallbackChange): string {
  const { event, route, mode, reason } = change;
  if (event === "fallback_began") return `route ${route} is in fallback (mode ${mode}, reason ${reason}).`;
  return `route ${route} is out of fallback again, after ${change.seconds} s.`;
}

export function messageRequest(target: NotifyTarget, message: string, userAgent: string): UpstreamRequest {
  const bytes = new TextEncoder().encode(message);
  const ours = ["User-Agent", userAgent, "Content-Type", "application/json"];
  const framing = ["Host", hostText(target.upstream), "Content-Length", String(bytes.length)];
  return {
    method: "POST",
    target: target.target,
    headers: [...framing, ...overridden(ours, target.headers)],
    body: {
      async *[Symbol.asyncIterator]() {
        yield bytes;
      },
    },
    // A message that arrives twice is better than one that does not arrive.
    repeatable: true,
    trying: { kind: "once" },
  };
}

/** `http://host:8080`, without the port when it is the scheme's own. */
export function originText(upstream: Upstream): string {
  return `${upstream.protocol}//${hostText(upstream)}`;
}

function hostText({ protocol, servers: [server] }: Upstream): string {
  const text = addressText(server);
  const usual = protocol === "https:" ? 443 : 80;
  return server.port === usual ? text.slice(0, text.lastIndexOf(":")) : text;
}

/** `failed`: it is worth sending the message again. `refused`: the same message would be refused again. */
type Delivery =
  | { readonly kind: "delivered" }
  | { readonly kind: "failed" | "refused"; readonly reason: NotifyReason };

/** Request Timeout, Too Early, Too Many Requests: the only 4xx that are about the moment and not about the message. */
const PASSING: ReadonlySet<number> = new Set([408, 425, 429]);

export function deliveryOf(outcome: Outcome): Delivery {
  if (outcome.kind === "failure") return { kind: "failed", reason: outcome.reason };
  if (outcome.kind !== "answer") return { kind: "failed", reason: outcome.kind };
  const { status } = outcome.answer;
  if (status >= 200 && status <= 299) return { kind: "delivered" };
  const isPassing = status >= 500 || PASSING.has(status);
  return { kind: isPassing ? "failed" : "refused", reason: `status_${status}` };
}

/** How long a message is tried again. */
export const KEPT_MS = 10 * 60_000;

const WAITS_MS = [1_000, 5_000, 25_000] as const;
const LONGEST_WAIT_MS = 60_000;
/** This share of each wait is random, so that replicas that failed together do not try together. */
const JITTER = 0.2;

/** The wait before the next try, after `failures` in a row (at least 1). `random`: 0 to 1. */
export function waitAfter(failures: number, random: number): number {
  return (WAITS_MS[failures - 1] ?? LONGEST_WAIT_MS) * (1 - JITTER * random);
}
