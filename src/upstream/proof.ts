/**
 * What shows that the server at the other end of a connection is well. Behind one address nothing else tells the servers
 * apart.
 *
 *  a check with a cookie      a verdict within the last second
 *  a check without a cookie   the same, as long as no such check has met a suspect answer of late. From then on, it is a
 *                             challenge to such a check: a server whose session store is full still answers the others
 */
import type { ConnectionRecord } from "./pooled-connection.ts";

const PROOF_MS = 1_000;
/**
 * Suspects with less time between them are one row, and a challenge counts if it came after the first of the row. Rows
 * are long, because a full session store stays full, and a row begins without knowing any server that is well.
 */
const SUSPECT_MS = 600_000;

export class Proof {
  readonly #now: () => number;
  #suspectedAt = Number.NEGATIVE_INFINITY;
  /** When the first of the row came. */
  #suspectedSince = Number.NEGATIVE_INFINITY;

  /** `now` is in milliseconds and never goes back. */
  constructor(now: () => number) {
    this.#now = now;
  }

  /** A check without a cookie brought a suspect. */
  suspected(): void {
    if (!this.isSuspected) this.#suspectedSince = this.#now();
    this.#suspectedAt = this.#now();
  }

  get isSuspected(): boolean {
    return this.#now() - this.#suspectedAt < SUSPECT_MS;
  }

  hasChallenged({ challengedAt }: ConnectionRecord): boolean {
    return challengedAt > this.#suspectedSince;
  }

  holds(record: ConnectionRecord, hasCookie: boolean): boolean {
    if (!record.mayBeKept) return false;
    if (!hasCookie && this.isSuspected) return this.hasChallenged(record);
    return record.verdictAt > this.#now() - PROOF_MS;
  }
}
