/** The health of a route with a hand-made upstream, and a clock that stands still until it is moved. */
import { mock } from "node:test";
import type { Test } from "tap";
import type { Questioned } from "../../src/core/answer-check.ts";
import type { Route, Upstream } from "../../src/core/snapshot.ts";
import type {
  Asking,
  Check,
  FallbackMode,
  FaultReason,
  Gone,
  Judgement,
  Outcome,
  ProvenVerdict,
  Undecided,
  UpstreamRequest,
  Verdict,
} from "../../src/core/types.ts";
import { RouteHealth, type RouteHealthDeps } from "../../src/route/route-health.ts";
import { answering, failing } from "./check-world.ts";
import { answer, check, route } from "./fixtures.ts";
import { upstreamAt } from "./raw-upstream.ts";

export type Exchange = (request: UpstreamRequest, gone: Gone) => Outcome | Promise<Outcome>;

export interface Scene {
  readonly health: RouteHealth;
  readonly deps: RouteHealthDeps;
  /** What the upstream and the login page answer to a probe. */
  upstream: Exchange;
  login: Exchange;
  readonly probes: readonly UpstreamRequest[];
  readonly looks: readonly UpstreamRequest[];
  readonly asked: readonly Upstream[];
  /** The states of the breaker in order, such as `open refused`, `half-open`, `closed`. */
  readonly states: readonly string[];
  readonly results: readonly string[];
  /** What was told of the proof of its probes. */
  readonly proofs: readonly (ProvenVerdict | null)[];
  /** How often the upstream was to be asked by few at first. */
  recovered(): number;
  now(): number;
  /** Moves the clock and every timer, and lets everything that follows settle. */
  advance(ms: number): Promise<void>;
}

export const FINE = answering(answer(200));
export const LOGIN = { upstream: upstreamAt(10), target: "/-/health/ready/" };
const STEP_MS = 25;

export function scene(t: Test, changes: Partial<Route> = {}): Scene {
  let clock = 1_000_000;
  const probes: UpstreamRequest[] = [];
  const looks: UpstreamRequest[] = [];
  const asked: Upstream[] = [];
  const states: string[] = [];
  const results: string[] = [];
  const proofs: (ProvenVerdict | null)[] = [];
  let recovered = 0;
  mock.timers.enable({ apis: ["setTimeout"] });
  const deps: RouteHealthDeps = {
    ask: async (upstream, request, gone) => {
      asked.push(upstream);
      const isLook = upstream === LOGIN.upstream;
      (isLook ? looks : probes).push(request);
      return isLook ? made.login(request, gone) : made.upstream(request, gone);
    },
    record: {
      probe: (_route, result) => results.push(result),
      proven: (_route, { proven }) => proofs.push(proven),
      breaker: (_route, state, reason) => states.push(reason === null ? state : `${state} ${reason}`),
    },
    recovered: () => {
      recovered += 1;
    },
    now: () => clock,
    random: () => 0,
    userAgent: "sparekey/1",
  };
  const health = new RouteHealth(route(changes), deps, null);
  t.teardown(() => {
    health.close();
    mock.timers.reset();
  });
  const advance = async (ms: number): Promise<void> => {
    await settled();
    for (let passed = 0; passed < ms; passed += STEP_MS) {
      const step = Math.min(STEP_MS, ms - passed);
      clock += step;
      mock.timers.tick(step);
      await settled();
    }
  };
  const made: Scene = {
    ...{ health, deps, probes, looks, asked, states, results, proofs, advance },
    ...{ recovered: () => recovered, now: () => clock },
    ...{ upstream: () => FINE, login: () => FINE },
  };
  return made;
}

/** Waits until everything has settled that needs no timer. */
export function settled(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}

export function admitted({ health }: Scene): Asking {
  const admission = health.admit(check());
  if (admission.kind === "refused") throw new Error("refused");
  return admission;
}

let clients = 0;

function anotherClient(): string {
  clients += 1;
  return `client ${clients}`;
}

/** A check that comes in now, each from another client's address unless it is given. */
export function questioned(made: Scene, asked: Check = check(), client = anotherClient()): Questioned {
  return { check: asked, begin: made.now(), client: () => client };
}

export function observe(made: Scene, asking: Asking, given: Verdict | null): void {
  made.health.observe(asking, questioned(made), given, made.now());
}

/** A check is admitted, and gets `verdict`. */
export async function bring(made: Scene, given: Verdict | null, asked: Check = check()): Promise<void> {
  made.health.observe(admitted(made), questioned(made, asked), given, made.now());
  await settled();
}

export async function bringMany(made: Scene, count: number, verdict: Verdict | null): Promise<void> {
  for (let brought = 0; brought < count; brought += 1) await bring(made, verdict);
}

export function fault(reason: FaultReason): Undecided {
  return { kind: "fault", reason, answer: null };
}

export function verdict(kind: "allow" | "challenge" | "deny"): Verdict {
  return { kind, answer: answer(200) };
}

export const SUSPECT: Undecided = { kind: "suspect", reason: "status_500", answer: answer(500) };

export function from(host: string): Check {
  return check({ headers: ["Host", host, "X-Forwarded-Host", host] });
}

export function hostsOf(requests: readonly UpstreamRequest[]): readonly (string | undefined)[] {
  return requests.map(({ headers }) => headers[headers.indexOf("Host") + 1]);
}

export const never: Exchange = () => new Promise(() => {});

/** What is judged of a suspect check that came in now, on a route with an emergency login. */
export function judged(
  made: Scene,
  asked: Check = check(),
  given: Undecided = SUSPECT,
  mode: FallbackMode = "deny",
): Promise<Judgement | null> {
  return made.health.judge(questioned(made, asked), given, mode);
}

export async function isConfirmed(made: Scene, asked: Check): Promise<boolean> {
  return (await judged(made, asked)) === "confirmed";
}

/** A check has taught a host, whose probe got the same verdict, and then nothing came for so long that it counts no more. */
export async function prove(made: Scene, kind: ProvenVerdict = "allow", host = "taught"): Promise<void> {
  made.upstream = () => answering(answer(kind === "allow" ? 200 : 302));
  await bring(made, verdict(kind), from(host));
  if (made.health.templates.proven !== kind) throw new Error("not proven");
  await made.advance(2_000);
}

/** A probe was proven, then the upstream cannot be reached. */
export async function openAfterProbe(t: Test, changes: Partial<Route> = {}): Promise<Scene> {
  const made = scene(t, changes);
  await prove(made);
  made.upstream = () => failing("refused");
  await bringMany(made, 5, fault("refused"));
  return made;
}

export async function openWithoutProbe(t: Test, changes: Partial<Route> = {}): Promise<Scene> {
  const made = scene(t, changes);
  made.upstream = () => failing("refused");
  await bringMany(made, 5, fault("refused"));
  return made;
}
