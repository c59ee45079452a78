/** The rules of the listeners that gateways ask on, the same for both paths. */
import type { AnswerCheckDeps, Routing } from "../core/answer-check.ts";

/** Traefik keeps idle connections for 90 s, and the gateway must be the one that closes. */
export const KEEP_ALIVE_MS = 120_000;
/** No gateway sends a head more slowly. */
export const HEAD_MS = 15_000;
/** How often connections are closed that are too slow or unused for too long. */
export const CHECKING_MS = 5_000;
/** Each line costs time and memory of its own: 250 KiB of short lines would stall every other check. */
export const MAX_HEADER_LINES = 1_000;
/** Unanswered checks of one connection. Gateways do not pipeline, and a sender that does could fill the memory. */
export const MAX_PIPELINED = 16;

/** What either path needs to answer checks. */
export interface PathDeps {
  readonly answering: AnswerCheckDeps;
  current(): Routing;
  /** Connections end with their next reply. */
  isDraining(): boolean;
  /** A defect of ours; the check got a 500. */
  onDefect(error: unknown): void;
}
