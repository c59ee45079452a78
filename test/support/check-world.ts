/** The data path with hand-made dependencies. */
import {
  type AnswerCheckDeps,
  answerCheck,
  type CheckContext,
  type RouteState,
} from "../../src/core/answer-check.ts";
import { upstreamRequest } from "../../src/core/headers.ts";
import { LinkedList } from "../../src/core/linked-list.ts";
import { createLoginProgress } from "../../src/core/login-progress.ts";
import type { Fallback, Route } from "../../src/core/snapshot.ts";
import type {
  Admission,
  Answer,
  Asking,
  Check,
  Decision,
  FailureReason,
  FallbackMode,
  LoginResult,
  Outcome,
  OverrideMode,
  RawHeaders,
  UpstreamRequest,
  Verdict,
  Waiting,
} from "../../src/core/types.ts";
import { basicAuth, check, route } from "./fixtures.ts";

export type Attempt = Parameters<AnswerCheckDeps["logins"]["attempt"]>;

export interface World {
  readonly context: CheckContext;
  readonly deps: AnswerCheckDeps;
  readonly requests: readonly UpstreamRequest[];
  readonly attempts: readonly Attempt[];
  /** What was recorded, in order, such as `answer 200 5ms`, `fault reset`, `check upstream 5ms`. */
  readonly recorded: readonly string[];
  /** What the route's health observed, in order, such as `allow`, `fault reset`, `nothing`, `given up`, `late`. */
  readonly observed: readonly string[];
  /** The kinds of the verdicts that grace observed, in order. */
  readonly graceObserved: readonly Verdict["kind"][];
  /** The checks for which a probe was asked. */
  readonly confirmations: readonly Check[];
  readonly asking: Asking;
  /** The `waiting` of each exchange. */
  readonly waitings: readonly Waiting[];
}

interface Scene {
  readonly route?: Partial<Route>;
  readonly trustedProxies?: CheckContext["trustedProxies"];
  readonly inFlight?: number;
  readonly login?: LoginResult;
  readonly emergencyUsers?: readonly string[];
  /** The breaker refuses every check. */
  readonly isOpen?: boolean;
  /** Whether a probe confirms faults and suspects; default: no. null: it could not be sent. */
  readonly confirms?: boolean | null;
  readonly areLoginsUp?: boolean;
  /** A probe has shown a moment ago that the upstream is broken; default: no. */
  readonly isKnownBad?: boolean;
  /** A probe for the client's host is proven; default: no. */
  readonly isProvenHost?: boolean;
  readonly override?: OverrideMode;
  /** The identity that grace has kept for the client. */
  readonly kept?: RawHeaders;
}

/** Each exchange takes 5 ms of a clock that otherwise stands still, and each login 100 ms. */
export function world(outcome: Outcome | (() => Promise<Outcome>), scene: Scene = {}): World {
  const requests: UpstreamRequest[] = [];
  const attempts: Attempt[] = [];
  const recorded: string[] = [];
  const waitings: Waiting[] = [];
  const graceObserved: Verdict["kind"][] = [];
  const { health, observed, confirmations, asking } = handMadeHealth(scene);
  let clock = 1_000;
  const deps: AnswerCheckDeps = {
    exchange: async (_upstream, forwarded, _gone, waiting) => {
      requests.push(upstreamRequest(forwarded));
      waitings.push(waiting);
      clock += 5;
      return typeof outcome === "function" ? outcome() : outcome;
    },
    logins: {
      knows: (user) => (scene.emergencyUsers ?? ["eve"]).includes(user),
      attempt: async (...attempt) => {
        attempts.push(attempt);
        clock += 100;
        return scene.login ?? { kind: "missing" };
      },
    },
    record: {
      check: (_route, _check, decision, ms) => recorded.push(`check ${decision.source} ${ms}ms`),
      answer: (_route, status, ms) => recorded.push(`answer ${status} ${ms}ms`),
      fault: (_route, reason) => recorded.push(`fault ${reason}`),
      suspect: (_route, reason, judgement) => recorded.push(`suspect ${reason} ${judgement}`),
      login: (_route, end, client) => recorded.push(`login ${end} of ${client}`),
      abandoned: () => recorded.push("abandoned"),
    },
    now: () => clock,
  };
  const context = {
    route: route(scene.route),
    state: {
      inFlight: scene.inFlight ?? 0,
      health,
      grace: {
        observe: (_check: Check, verdict: Verdict) => graceObserved.push(verdict.kind),
        recall: () => scene.kept ?? null,
      },
      logins: createLoginProgress(),
      override: () => scene.override ?? null,
    },
    trustedProxies: scene.trustedProxies ?? null,
    gone: new AbortController().signal,
  };
  return {
    context,
    deps,
    requests,
    attempts,
    recorded,
    observed,
    graceObserved,
    confirmations,
    asking,
    waitings,
  };
}

function handMadeHealth(scene: Scene) {
  const { isOpen = false, confirms = false, areLoginsUp = true } = scene;
  const observed: string[] = [];
  const confirmations: Check[] = [];
  const asking: Asking = { kind: "ask", generation: 7, isTrial: false, waiting: new LinkedList() };
  const note = (of: Asking, words: string): void => {
    if (of !== asking) throw new Error("observed for an admission that is not the check's own");
    observed.push(words);
  };
  const health: RouteState["health"] = {
    admit: (): Admission => (isOpen ? { kind: "refused" } : asking),
    observe: (of, _questioned, verdict) => note(of, wordsFor(verdict)),
    gaveUp: (of) => note(of, "given up"),
    judge: async ({ check }) => {
      confirmations.push(check);
      if (confirms === null) return null;
      return confirms ? "confirmed" : "cleared";
    },
    isKnownBad: () => scene.isKnownBad ?? false,
    late: () => void observed.push("late"),
    isProvenHost: () => scene.isProvenHost ?? false,
    areLoginsUp: async () => areLoginsUp,
  };
  return { health, observed, confirmations, asking };
}

function wordsFor(verdict: Verdict | null): string {
  if (verdict === null) return "nothing";
  return "reason" in verdict ? `${verdict.kind} ${verdict.reason}` : verdict.kind;
}

export function run(made: World, asked: Check = check()): Promise<Decision | null> {
  return answerCheck(asked, made.context, made.deps);
}

export async function decisionOf(made: World, asked: Check = check()): Promise<Decision> {
  const decision = await run(made, asked);
  if (decision === null) throw new Error("no decision");
  return decision;
}

export function answering(given: Answer): Outcome {
  return { kind: "answer", answer: given };
}

export function failing(reason: FailureReason): Outcome {
  return { kind: "failure", reason };
}

export const FALLBACKS: Readonly<Record<FallbackMode, Fallback>> = {
  allow: { mode: "allow", onOverload: "shed" },
  "basic-auth": basicAuth(),
  deny: { mode: "deny", grace: null, page: null },
  none: { mode: "none" },
};
export const MODES = ["allow", "basic-auth", "deny", "none"] as const;
