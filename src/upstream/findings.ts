/** What the attempts of one check have brought so far, as long as none has brought a verdict. */
import { type AttemptOutcome, leastTrusted } from "../core/attempts.ts";
import type { FaultReason, Outcome, Trying } from "../core/types.ts";
import type { Endpoint } from "./endpoint.ts";

export interface Suspect {
  readonly endpoint: Endpoint;
  readonly reason: FaultReason;
}

const NONE: readonly Suspect[] = [];
const SILENT = { kind: "failure", reason: "read_timeout" } as const;
const SHED: Outcome = { kind: "overload" };

export class Findings {
  /** The least trusted of the attempts that failed. */
  #evidence: AttemptOutcome | null = null;
  /** What says nothing about the upstream: our own limits, or a connection that died for another reason. */
  #unsaid: Outcome | null = null;
  #suspects: Suspect[] | null = null;
  #hasMadeWay = false;

  failed(outcome: AttemptOutcome, trying: Trying): void {
    const before = this.#evidence;
    this.#evidence = before && trying.kind !== "once" ? leastTrusted(before, outcome, trying) : outcome;
  }

  /** An attempt that was silent made way for another one. */
  madeWay(): void {
    this.#hasMadeWay = true;
  }

  saidNothing(outcome: Outcome): void {
    this.#unsaid = outcome;
  }

  suspected(suspect: Suspect): void {
    if (this.#suspects === null) this.#suspects = [suspect];
    else this.#suspects.push(suspect);
  }

  /** Should another endpoint give a verdict, these were not the client's doing. */
  get suspects(): readonly Suspect[] {
    return this.#suspects ?? NONE;
  }

  /**
   * What the check comes to. Evidence counts before what says nothing. Silence that made way is evidence beside other
   * evidence, but none alone: it had less time than `read`.
   */
  outcome(trying: Trying): Outcome {
    const evidence = this.#evidence;
    if (evidence === null) return this.#unsaid ?? SHED;
    return this.#hasMadeWay && trying.kind !== "once" ? leastTrusted(evidence, SILENT, trying) : evidence;
  }
}
