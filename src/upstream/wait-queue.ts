/** The checks that wait for a connection to one upstream, each in the queue of its client. */
import { FairQueue } from "../core/fair-queue.ts";
import type { Outcome } from "../core/types.ts";
import type { Connected } from "./connect.ts";
import type { Pooled } from "./pooled-connection.ts";

/** Why a check got no connection. */
export type NotTaken =
  | Exclude<Connected, { readonly kind: "connected" }>
  /** It has waited for too long. */
  | Extract<Outcome, { kind: "failure" | "busy" }>;

/** It has left the queue before any of its methods is called. */
export interface Waiter {
  /** Whose it is. null: it is a request of our own, or a plain proxy's. */
  readonly client: string | null;
  /** It needs a connection that has carried nothing yet. */
  readonly needsFresh: boolean;
  /** It may be asked behind other checks, on a connection that is busy. */
  readonly mayShare: boolean;
  /** How many answers the upstream had given when the wait began. */
  readonly answers: number;
  /** Whether a connection is of its kind. Otherwise the wait goes on. */
  fits(connection: Pooled): boolean;
  take(connection: Pooled): void;
  fail(why: NotTaken): void;
  /** It may open a connection now. */
  open(): void;
}

export class WaitQueue extends FairQueue<Waiter> {
  /**
   * The waiting checks need not find out one by one that an upstream cannot be reached. A check that has seen an
   * answer since its wait began tries for itself: one lost connection of a busy upstream says little.
   */
  failUnheard(why: NotTaken, answers: number): void {
    const unheard: Waiter[] = [];
    this.each((waiter, place) => {
      if (waiter.answers !== answers) return;
      this.leave(place);
      unheard.push(waiter);
    });
    for (const waiter of unheard) waiter.fail(why);
  }
}
