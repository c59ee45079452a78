/** The data path among hand-made ports. */
import { answerCheck, type CheckContext, type Ports } from "../../src/check.ts";
import type {
  Answer,
  Check,
  Decision,
  FailureReason,
  Fallback,
  FallbackMode,
  LoginResult,
  Outcome,
  Route,
  UpstreamRequest,
} from "../../src/core/types.ts";
import { basicAuth, check, route } from "./fixtures.ts";

export type Attempt = Parameters<Ports["logins"]["attempt"]>;

export interface World {
  readonly context: CheckContext;
  readonly ports: Ports;
  readonly requests: readonly UpstreamRequest[];
  readonly attempts: readonly Attempt[];
  /** What was recorded, in order, as `answer 200 5ms`, `fault reset`, `check upstream 5ms`. */
  readonly recorded: readonly string[];
}

interface Scene {
  readonly route?: Partial<Route>;
  readonly trustedProxies?: CheckContext["trustedProxies"];
  readonly inFlight?: number;
  readonly login?: LoginResult;
  readonly emergencyUsers?: readonly string[];
}

/** The ports, hand-made. Each exchange takes 5 ms of a clock that otherwise stands still, each login 100 ms. */
export function world(outcome: Outcome | (() => Promise<Outcome>), scene: Scene = {}): World {
  const requests: UpstreamRequest[] = [];
  const attempts: Attempt[] = [];
  const recorded: string[] = [];
  let clock = 1_000;
  const ports: Ports = {
    exchange: async (_upstream, request) => {
      requests.push(request);
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
    },
    now: () => clock,
  };
  const context = {
    route: route(scene.route),
    state: { inFlight: scene.inFlight ?? 0 },
    trustedProxies: scene.trustedProxies ?? null,
    gone: new AbortController().signal,
  };
  return { context, ports, requests, attempts, recorded };
}

export function run(made: World, asked: Check = check()): Promise<Decision | null> {
  return answerCheck(asked, made.context, made.ports);
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
  allow: { mode: "allow" },
  "basic-auth": basicAuth(),
  deny: { mode: "deny" },
  none: { mode: "none" },
};
export const MODES = ["allow", "basic-auth", "deny", "none"] as const;
