/**
 * Whether an upstream that is silent is only busy. A crowd, or one client, can keep a server so busy that nobody is
 * answered in time, and an upstream that is busy is not broken.
 *
 * - A check that waits in vain is busy where checks of other clients were answered meanwhile, and took at least half as
 *   long. Where these are answered at their usual speed, what keeps this one waiting is no crowd.
 * - Only checks of its kind count. A session store that hangs for new logins leaves checks with a cookie as they are.
 * - A probe opens doors, so slow answers to checks of either kind explain its silence. Otherwise a client could keep the
 *   upstream busy with checks of one kind, and be let in with one of the other.
 */

/** Faster answers are not kept: no timeout is so short that they could explain it. */
export const SLOW_ANSWER_MS = 250;

const KEPT = 64;
/** Others must have taken at least such a part of the time that a check has waited. */
const SHARE = 0.5;

interface SlowAnswer {
  readonly at: number;
  readonly took: number;
  readonly client: string;
}

/** A check or a probe that has waited in vain. Times are milliseconds of one clock. */
export interface Silence {
  readonly hasCookie: boolean;
  /** null: a probe. */
  readonly client: string | null;
  readonly since: number;
  readonly now: number;
}

export interface SlowAnswers {
  /** A check was answered after `took` milliseconds, which are at least SLOW_ANSWER_MS. */
  add(hasCookie: boolean, answer: SlowAnswer): void;
  explain(silence: Silence): boolean;
}

/** Keeps the latest of each kind. */
export function createSlowAnswers(): SlowAnswers {
  const kept = { withCookie: newRing(), cookieless: newRing() };
  const ringOf = (hasCookie: boolean) => (hasCookie ? kept.withCookie : kept.cookieless);
  const explains = (answer: SlowAnswer, { client, since, now }: Silence): boolean =>
    answer.client !== client && answer.at >= since && answer.took >= (now - since) * SHARE;
  return {
    add: (hasCookie, answer) => {
      const ring = ringOf(hasCookie);
      ring.answers[ring.next] = answer;
      ring.next = (ring.next + 1) % KEPT;
    },
    explain: (silence) => {
      const isProbe = silence.client === null;
      const rings = isProbe ? Object.values(kept) : [ringOf(silence.hasCookie)];
      return rings.some(({ answers }) => answers.some((answer) => explains(answer, silence)));
    },
  };
}

function newRing(): { readonly answers: SlowAnswer[]; next: number } {
  return { answers: [], next: 0 };
}
