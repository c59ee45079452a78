/** The figures of a walk: a cell for each mode and state of the breaker, and the wrong replies. */
import {
  type Fault,
  isHit,
  isRight,
  MODES,
  type Mode,
  type Moment,
  opens,
  type ReplyKind,
} from "./oracle.ts";
import { BAD_HOLDS_MS, GOOD_HOLDS_MS } from "./sparekey.ts";
import type { Round, Seen, Walk } from "./walk.ts";

export const BREAKERS = ["closed", "open", "recovering"] as const;
export type BreakerPhase = (typeof BREAKERS)[number];

export interface Cell {
  readonly mode: Mode;
  readonly breaker: BreakerPhase;
  /** How many replies of each kind. */
  readonly replies: ReadonlyMap<ReplyKind, number>;
  /** Milliseconds. */
  readonly took: readonly number[];
  readonly wrong: readonly Seen[];
}

/** Milliseconds, one for each mode and round in which the event happened. */
export interface Times {
  /** From the begin of the fault to the first fallback. */
  readonly firstFallback: readonly number[];
  readonly opened: readonly number[];
  /** From the end of the fault to the first verdict for a client that the fault affects. */
  readonly firstVerdict: readonly number[];
  readonly closed: readonly number[];
}

/** A probe result may still be used a moment after its time. */
const SLACK_MS = 100;
/** `timeouts.total`. */
const LOGIN_HANGS_MS = 800;
/** A log line reports an opening a little later than the replies show it. */
const LINE_MS = 250;
/** A verdict stands against a bad finding for 1 s. Then a probe may need all of `read`. */
const TOLD_WITHIN_MS = 2_000;
/** Where the breaker stays closed, this time separates the begin of the fault from the rest. */
const EARLY_MS = 1_000;
const AFTER_MS = 1_000;
const FALLBACKS: ReadonlySet<ReplyKind> = new Set(["allow", "login page", "logged in", "deny"]);

/** A proxy error is a fallback of mode `none` alone: elsewhere it tells that the client caused what was seen. */
export function isFallback({ kind, mode }: Pick<Seen, "kind" | "mode">): boolean {
  return FALLBACKS.has(kind) || (kind === "proxy error" && mode === "none");
}

export function cellsOf(walk: Walk): readonly Cell[] {
  return MODES.flatMap((mode) =>
    BREAKERS.map((breaker) => {
      const seen = walk.seen.filter((reply) => reply.mode === mode && phaseOf(reply, walk) === breaker);
      const counts = Map.groupBy(seen, ({ kind }) => kind);
      return {
        mode,
        breaker,
        replies: new Map([...counts].map(([kind, replies]) => [kind, replies.length])),
        took: seen.map(({ sent, done }) => done - sent),
        wrong: seen.filter((reply) => isWrong(reply, walk)),
      };
    }),
  );
}

/** The wrong replies, with those before and after the fault. */
export function wrongOf(walk: Walk): readonly Seen[] {
  return walk.seen.filter((reply) => isWrong(reply, walk));
}

export function timesOf({ rounds, seen, scene }: Walk, modes: readonly Mode[] = MODES): Times {
  const each = rounds.flatMap((round) => modes.map((mode) => ({ round, mode })));
  const first = (mode: Mode, from: number, to: number, fits: (reply: Seen) => boolean): number[] => {
    const replies = seen.filter((reply) => reply.mode === mode && reply.sent >= from && reply.sent < to);
    const done = replies.filter(fits).map((reply) => reply.done);
    return done.length === 0 ? [] : [Math.min(...done) - from];
  };
  return {
    firstFallback: each.flatMap(({ round, mode }) => first(mode, round.begun, round.heal, isFallback)),
    opened: each.flatMap(({ round, mode }) => sinceOf(round.opened.get(mode), round.begun)),
    firstVerdict: each.flatMap(({ round, mode }) =>
      first(
        mode,
        round.healed,
        endOf(round, mode),
        (reply) => reply.kind === "verdict" && isHit(scene.fault, reply.client),
      ),
    ),
    closed: each.flatMap(({ round, mode }) => sinceOf(round.closed.get(mode), round.healed)),
  };
}

export function isWrong(reply: Seen, { rounds, scene }: Pick<Walk, "rounds" | "scene">): boolean {
  if (isShedLate(reply, rounds, scene.fault)) return true;
  const moments = momentsOf(reply, rounds, scene.fault);
  return !isRight(reply.kind, scene.fault, reply.mode, reply.client, moments);
}

/** What is shed because it cannot be told whose fault it is: after a while, it must be told. */
function isShedLate({ kind, mode, sent, done }: Seen, rounds: readonly Round[], fault: Fault): boolean {
  const isTold = fault.row !== "fine" && fault.row !== "login" && !(fault.isUnproven && mode === "allow");
  if (kind !== "shed" || !isTold) return false;
  return rounds.some(({ begun, heal }) => sent > begun + TOLD_WITHIN_MS && done < heal);
}

interface Span {
  readonly moment: Moment;
  readonly from: number;
  readonly to: number;
}

/** All moments between a check and its reply. What was heard of a login page holds for some time. */
function momentsOf({ mode, sent, done }: Seen, rounds: readonly Round[], fault: Fault): readonly Moment[] {
  const lags = fault.row === "login";
  // What was heard before is used until the page has said something, or was silent for too long.
  const lag = lags ? GOOD_HOLDS_MS + SLACK_MS + (fault.isSilent ? LOGIN_HANGS_MS : 0) : 0;
  const spans = rounds.flatMap((round, index): readonly Span[] => {
    const { begin, begun, heal, healed, opened } = round;
    const before = rounds[index - 1];
    const wellFrom = before ? recovered(before, mode, lags) : Number.NEGATIVE_INFINITY;
    const open = opened.get(mode);
    return [
      { moment: "healthy", from: wellFrom, to: begun + lag },
      { moment: "closed", from: begin, to: healed },
      ...(open === undefined ? [] : [{ moment: "open" as const, from: open - LINE_MS, to: healed }]),
      { moment: "recovering", from: heal, to: recovered(round, mode, lags) },
    ];
  });
  const last = rounds.at(-1);
  const end = last ? recovered(last, mode, lags) : Number.NEGATIVE_INFINITY;
  const after: Span = { moment: "healthy", from: end, to: Number.POSITIVE_INFINITY };
  return [...spans, after].filter(({ from, to }) => sent <= to && done >= from).map(({ moment }) => moment);
}

/** When only verdicts are right again. */
function recovered({ healed, closed }: Round, mode: Mode, lags: boolean): number {
  return Math.max(closed.get(mode) ?? healed, healed + (lags ? BAD_HOLDS_MS + SLACK_MS : 0));
}

function phaseOf({ mode, sent }: Seen, { rounds, scene }: Walk): BreakerPhase | null {
  const round = rounds.findLast(({ begun }) => sent >= begun);
  if (round === undefined) return null;
  const isClosed = opens(scene.fault, mode) === "never";
  const opened = isClosed ? round.begun + EARLY_MS : round.opened.get(mode);
  if (sent < (opened ?? round.heal)) return "closed";
  if (sent < round.heal) return "open";
  return sent < endOf(round, mode) ? "recovering" : null;
}

function endOf(round: Round, mode: Mode): number {
  return Math.max(round.closed.get(mode) ?? 0, round.healed + AFTER_MS);
}

function sinceOf(time: number | undefined, begin: number): number[] {
  return time === undefined ? [] : [time - begin];
}
