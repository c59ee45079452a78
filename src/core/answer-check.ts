/**
 * THE DATA PATH: `answerCheck` takes one check from start to end. The first step that can decide the check ends it.
 *
 * 1. The route's limit of checks in flight is reached: shed.
 * 2. A person chose the fallback for the route, or the breaker is open: fall back.
 * 3. The upstream is asked. An outcome that says nothing about it is shed, or falls back if the breaker has opened.
 *    A gateway that gave up on a check that had waited unusually long is evidence for the breaker.
 * 4. The outcome is classified (core/classify.ts). A verdict of the upstream is relayed.
 * 5. A fault or suspect is treated by the evidence table (core/treatment.ts): relay, fall back, or first send a probe.
 *
 * Every decision is made in core/. What needs I/O, state or a clock is passed in.
 */
import { basicUserOf, credentialsFrom } from "./basic-credentials.ts";
import { classify, isOddRefusal, lacksHeader, verdictOf } from "./classify.ts";
import { clientAddress, isListed, limitKey } from "./client-address.ts";
import { patienceOf } from "./dialect.ts";
import { graceFallback, loginFallback, opensLoginBox, plainFallback, proxyErrorFor } from "./fallback.ts";
import { authorizationForApp, firstHeader } from "./headers.ts";
import { fallbackFor } from "./host-policy.ts";
import { LinkedList } from "./linked-list.ts";
import { type LoginProgress, loginStep } from "./login-progress.ts";
import { badCheck, forbidden, relayed, shedReply } from "./replies.ts";
import type { RouteTable } from "./route-table.ts";
import type { AddressList, BasicAuthFallback, Fallback, GraceRules, Route, Upstream } from "./snapshot.ts";
import { treatmentOf } from "./treatment.ts";
import type {
  Admission,
  Answer,
  Asking,
  Check,
  Credentials,
  Decided,
  Decision,
  FallbackMode,
  FallbackReason,
  FaultReason,
  ForbiddenReason,
  Forwarded,
  Gone,
  Judgement,
  LoginEnd,
  LoginResult,
  Outcome,
  OverrideMode,
  RawHeaders,
  Trying,
  Undecided,
  Verdict,
  VerdictLabel,
  Waiting,
} from "./types.ts";

export interface AnswerCheckDeps {
  /** Always settles, never rejects. `gone` fires when the gateway no longer waits. */
  exchange(upstream: Upstream, forwarded: Forwarded, gone: Gone, waiting: Waiting): Promise<Outcome>;
  readonly logins: {
    /** Whether an htpasswd file of any route holds this name. */
    knows(user: string): boolean;
    attempt(
      route: string,
      policy: BasicAuthFallback,
      credentials: Credentials | null,
      address: string,
    ): Promise<LoginResult>;
  };
  readonly record: {
    check(route: Route, check: Check, decision: Decision, milliseconds: number): void;
    answer(route: Route, status: number, milliseconds: number): void;
    fault(route: Route, reason: FaultReason): void;
    suspect(route: Route, reason: FaultReason, judgement: Judgement): void;
    /** Its gateway gave up on a check that had waited unusually long. */
    abandoned(route: Route): void;
    /** `client` is as in core/login-progress.ts. */
    login(route: Route, end: LoginEnd, client: string | null): void;
  };
  /** Milliseconds, monotonic. */
  now(): number;
}

/** A check on its way, as those see it who judge what came of it. */
export interface Questioned {
  readonly check: Check;
  /** When it came in. */
  readonly begin: number;
  /** The key of the client's address: core/client-address.ts, `limitKey`. */
  readonly client: () => string;
}

/** What a route remembers from one check to the next. */
export interface RouteState {
  inFlight: number;
  readonly health: {
    admit(check: Check): Admission;
    /** Called for each admitted check that was not given up on. null: its outcome says nothing about the upstream. */
    observe(asking: Asking, questioned: Questioned, verdict: Verdict | null, now: number): void;
    /** Its gateway gave up after the check had waited unusually long. */
    gaveUp(asking: Asking, questioned: Questioned): void;
    /** Probes the upstream, to tell its fault from the client's; null: that cannot be told now. */
    judge(questioned: Questioned, verdict: Undecided, mode: FallbackMode): Promise<Judgement | null>;
    /** Whether it is known at once that the upstream is broken for such a check. */
    isKnownBad(check: Check, mode: FallbackMode): boolean;
    /** The check waits unusually long. */
    late(questioned: Questioned): void;
    /** Whether a probe for the client's host is proven. */
    isProvenHost(check: Check): boolean;
    /** Whether the pages work that a challenge leads to. */
    areLoginsUp(): Promise<boolean>;
  };
  readonly grace: {
    /** Keeps the identity of an allow, and forgets it after any other verdict. `begin`: when the check came in. */
    observe(check: Check, verdict: Decided, rules: GraceRules, begin: number): void;
    /** The identity headers of an allow that this very client got and that still holds; null: there is none. */
    recall(check: Check, rules: GraceRules): RawHeaders | null;
  };
  /** Of a route that carries login pages. */
  readonly logins: LoginProgress;
  /** What a person chose for the route; null: nothing. */
  override(): OverrideMode | null;
}

/** The config that applies to a check from its begin to its end. */
export interface Routing {
  readonly table: RouteTable;
  readonly trustedProxies: AddressList | null;
  stateOf(route: Route): RouteState;
  /** Called when a check begins. What the check refers to is kept until its `release`. */
  hold(): void;
  release(): void;
}

export interface CheckContext {
  readonly route: Route;
  readonly state: RouteState;
  readonly trustedProxies: AddressList | null;
  readonly gone: Gone;
}

interface AskedCheck extends CheckContext, Questioned {}

/** null: the gateway went away, so nobody waits for a reply and nothing is counted. */
export async function answerCheck(
  check: Check,
  context: CheckContext,
  deps: AnswerCheckDeps,
): Promise<Decision | null> {
  const { route, state, gone } = context;
  const { health } = state;
  const { exchange, record, now } = deps;
  const begin = now();
  const { trustedProxies } = context;
  const client = (): string => limitKey(clientAddress(check, trustedProxies));
  const asked: AskedCheck = { route, state, trustedProxies, gone, check, begin, client };
  const finish = (decision: Decision, end = now()): Decision => {
    record.check(route, check, decision, end - begin);
    return decision;
  };

  // Our own limit comes first and never falls back, because a flood must not open the door.
  if (state.inFlight >= route.maxInFlight) return finish(SHED);

  const override = state.override();
  if (override === "fallback") return finish(await fallBack(asked, "override", deps));

  // While the breaker is open, no check waits for an upstream that is known to be broken.
  const admission = override === "upstream" ? UNJUDGED : health.admit(check);
  if (admission.kind === "refused") return finish(await fallBack(asked, "breaker_open", deps));

  const forwarded = forward(asked, deps);
  state.inFlight += 1;
  let outcome: Outcome;
  try {
    outcome = await exchange(route.upstream, forwarded, gone, admission.waiting);
  } finally {
    state.inFlight -= 1;
  }

  if (!isEvidence(outcome)) {
    const decision = await withoutEvidence(asked, outcome, admission, deps);
    return decision && finish(decision);
  }
  let heardAt = now();
  if (outcome.kind === "answer") {
    record.answer(route, outcome.answer.status, heardAt - begin);
    watchStream(outcome.answer, route, deps);
  }
  noteLogin(asked, outcome, deps);

  const classified = withIdentity(
    classify(outcome, route.fault, () => health.isProvenHost(check)),
    route,
  );
  if (override === "upstream") return finish(decideAsUpstream(asked, classified, deps));
  // Nearly every check skips this await, which would cost it a turn of the microtask queue.
  let verdict = classified;
  if (classified.kind === "challenge") {
    verdict = await questionedChallenge(asked, classified);
    heardAt = now();
  }
  health.observe(admission, asked, verdict, heardAt);
  if (isDecided(verdict)) return finish(decideByVerdict(asked, verdict, deps), heardAt);
  return finish(await decideByTreatment(asked, verdict, deps));
}

/**
 * An allow that lacks one of the route's `requireHeaders` is refused, because it does not name its user. So is one that
 * is suspect: a probe that clears the upstream does not tell who the user is.
 */
function withIdentity(verdict: Verdict, { requireHeaders }: Route): Verdict {
  if (verdict.kind === "fault" || verdictOf(verdict.answer).kind !== "allow") return verdict;
  if (!lacksHeader(verdict.answer, requireHeaders)) return verdict;
  discard(verdict.answer);
  return { kind: "deny", answer: forbidden() };
}

type Evidence = Extract<Outcome, { kind: "answer" | "failure" }>;

function isEvidence(outcome: Outcome): outcome is Evidence {
  return outcome.kind === "answer" || outcome.kind === "failure";
}

/** None of these outcomes is a fault, so that no client can fake one. */
async function withoutEvidence(
  asked: AskedCheck,
  outcome: Exclude<Outcome, Evidence>,
  asking: Asking,
  deps: AnswerCheckDeps,
): Promise<Decision | null> {
  const { route, state, check } = asked;
  const hasGivenUp = outcome.kind === "hurried" || (outcome.kind === "abandoned" && outcome.isLate);
  if (hasGivenUp) deps.record.abandoned(route);
  // A person may have chosen that the route never falls back.
  const mayFallBack = asking !== UNJUDGED;
  if (mayFallBack && hasGivenUp) state.health.gaveUp(asking, asked);
  else if (mayFallBack) state.health.observe(asking, asked, null, deps.now());
  const fallback = fallbackFor(route, check);
  switch (outcome.kind) {
    case "abandoned":
      return null;
    case "unsendable":
      return REFUSED;
    case "released":
      return fallBack(asked, "breaker_open", deps);
    case "busy": {
      const staysUp = fallback.mode === "allow" && fallback.onOverload === "fallback";
      return mayFallBack && staysUp ? fallBack(asked, "overload", deps) : SHED;
    }
    case "hurried": {
      const isKnownBad = mayFallBack && state.health.isKnownBad(check, fallback.mode);
      return isKnownBad ? fallBack(asked, "abandoned", deps) : SHED;
    }
    case "overload":
      return SHED;
  }
}

/** Counts logins that end at a route which carries login pages. It changes no decision. */
function noteLogin(
  { check, route, state, trustedProxies }: AskedCheck,
  outcome: Outcome,
  deps: AnswerCheckDeps,
): void {
  if (route.loginOf === null) return;
  const step = loginStep(check, outcome.kind === "answer" ? outcome.answer : null);
  if (step === null) return;
  const address = clientAddress(check, trustedProxies);
  const client = address === null ? null : limitKey(address);
  for (const end of state.logins.take(step, client, deps.now())) deps.record.login(route, end, client);
}

function isDecided(verdict: Verdict): verdict is Decided {
  return verdict.kind !== "fault" && verdict.kind !== "suspect";
}

/**
 * A challenge is a verdict only while the login works that it leads to. One to a client that was let through a moment
 * ago is suspect where its allow is remembered: a database that is down makes strangers of everybody.
 */
async function questionedChallenge(asked: AskedCheck, verdict: Decided): Promise<Verdict> {
  const { state, check, route } = asked;
  if (!(await state.health.areLoginsUp())) {
    noteForGrace(asked, verdict);
    return { kind: "fault", reason: "login_down", answer: verdict.answer };
  }
  const grace = check.hasCookie ? graceRules(fallbackFor(route, check)) : null;
  if (grace === null || state.grace.recall(check, grace) === null) return verdict;
  return { kind: "suspect", reason: "unexpected", answer: verdict.answer };
}

/** Follows the evidence table: relays the answer, falls back, or lets a probe tell which of the two is right. */
async function decideByTreatment(
  asked: AskedCheck,
  verdict: Undecided,
  deps: AnswerCheckDeps,
): Promise<Decision> {
  const { check, route, state } = asked;
  const { mode } = fallbackFor(route, check);
  const treatment = treatmentOf(verdict, mode, route.fault.confirm);
  if (treatment === "confirm") {
    const judgement = await state.health.judge(asked, verdict, mode);
    if (judgement !== null) deps.record.suspect(route, verdict.reason, judgement);
    if (judgement === "cleared") return withoutFallback(asked, verdict, "upstream", deps);
    // What cannot be told never leads to a fallback, and never lets anybody in.
    if (judgement === null) {
      if (verdict.answer) discard(verdict.answer);
      return SHED;
    }
  }
  if (verdict.kind === "fault" || treatment === "confirm") deps.record.fault(route, verdict.reason);
  if (treatment === "relay") return withoutFallback(asked, verdict, "upstream", deps);
  if (verdict.answer) discard(verdict.answer);
  return fallBack(asked, verdict.reason, deps);
}

/** A person chose that the route never falls back: the answer is relayed, or a proxy error where there is none. */
function decideAsUpstream(asked: AskedCheck, verdict: Verdict, deps: AnswerCheckDeps): Decision {
  if (verdict.kind === "fault") deps.record.fault(asked.route, verdict.reason);
  if (isDecided(verdict)) return decideByVerdict(asked, verdict, deps);
  return withoutFallback(asked, verdict, "override", deps);
}

function decideByVerdict(asked: AskedCheck, verdict: Decided, deps: AnswerCheckDeps): Decision {
  const { check, route } = asked;
  noteForGrace(asked, verdict);
  if (verdict.kind === "allow") return allow(check, route, verdict.answer, deps);
  return fromUpstream(verdict.answer, verdict.kind);
}

function noteForGrace({ check, route, state, begin }: AskedCheck, verdict: Decided): void {
  const grace = graceRules(fallbackFor(route, check));
  if (grace) state.grace.observe(check, verdict, grace, begin);
}

/**
 * A gateway that copies Authorization from our reply removes the client's, so that no emergency password reaches an
 * app. So the reply carries the client's own Authorization, without emergency credentials, unless the upstream set one.
 */
function allow(check: Check, route: Route, answer: Answer, deps: AnswerCheckDeps): Decision {
  if (!check.hasAuthorization || route.fallback.mode === "none") return fromUpstream(answer, "allow");
  if (firstHeader(answer.headers, "authorization") !== null) return fromUpstream(answer, "allow");
  const isEmergency = (authorization: string) => isEmergencyLogin(authorization, deps);
  const authorization = authorizationForApp(check.headers, isEmergency);
  return { ...fromUpstream(answer, "allow"), reply: relayed(answer, authorization) };
}

/**
 * A suspect answer that is a verdict by its status is one. Any other, and any fault, is taken for the client's own doing:
 * it gets the answer as it came, or a proxy error where there is none.
 */
function withoutFallback(
  asked: AskedCheck,
  { answer, reason }: Undecided,
  source: "upstream" | "override",
  deps: AnswerCheckDeps,
): Decision {
  const isVerdict = reason === "unexpected" || (reason !== "bare_400" && isOddRefusal(answer?.status ?? 0));
  if (answer !== null && isVerdict) return decideByVerdict(asked, verdictOf(answer), deps);
  const reply = answer && mayRelay(asked, answer) ? relayed(answer) : proxyErrorFor(reason);
  if (answer && reply.body !== answer.body) discard(answer);
  return { source, verdict: "error", reply, fallback: null };
}

/** A 2xx that the config calls a fault lets nobody in, where gateways take a 2xx for an allow. */
function mayRelay({ route, check }: AskedCheck, answer: Answer): boolean {
  return verdictOf(answer).kind !== "allow" || fallbackFor(route, check).mode === "none";
}

async function fallBack(asked: AskedCheck, reason: FallbackReason, deps: AnswerCheckDeps): Promise<Decision> {
  const { check, route, state, trustedProxies } = asked;
  const fallback = fallbackFor(route, check);
  const grace = ENDS_GRACE.has(reason) ? null : graceRules(fallback);
  const identity = grace && state.grace.recall(check, grace);
  if (identity) return graceFallback(fallback.mode, reason, identity);
  if (fallback.mode !== "basic-auth") return plainFallback(fallback, reason);
  const address = clientAddress(check, trustedProxies);
  const why = whyForbidden(fallback, address);
  const login =
    why === null
      ? await deps.logins.attempt(route.name, fallback, credentialsFrom(check.headers), limitKey(address))
      : ({ kind: "forbidden", why } as const);
  return loginFallback(fallback, reason, login, opensLoginBox(check.headers));
}

/** The mode `allow` needs no grace, and a plain proxy (`none`) gets no allow to keep. */
function graceRules(fallback: Fallback): GraceRules | null {
  return fallback.mode === "basic-auth" || fallback.mode === "deny" ? fallback.grace : null;
}

function whyForbidden({ allowFrom }: BasicAuthFallback, address: string | null): ForbiddenReason | null {
  if (allowFrom === null) return null;
  if (address === null) return "no_address";
  return isListed(address, allowFrom) ? null : "outside_allow_from";
}

function forward(asked: AskedCheck, deps: AnswerCheckDeps): Forwarded {
  const { check, route, state, begin, client } = asked;
  const { method, body } = check;
  const isPlainProxy = route.fallback.mode === "none";
  return {
    check,
    staysHere: (authorization) => route.stripEmergencyCredentials && isEmergencyLogin(authorization, deps),
    // A check changes nothing at the upstream, whatever the method of the request that it is about.
    repeatable: body === null && (!isPlainProxy || SAFE_METHODS.has(method)),
    trying: isPlainProxy
      ? TRIED_ONCE
      : {
          kind: "check",
          fault: route.fault,
          client,
          isProvenHost: () => state.health.isProvenHost(check),
          late: () => state.health.late(asked),
          patience: patienceOf(check, route.gateway),
        },
    begin,
  };
}

/**
 * No upstream of any route gets emergency credentials. A browser sends them with every check of a site, and an outpost
 * would turn them into a token request to its core.
 */
function isEmergencyLogin(authorization: string, deps: AnswerCheckDeps): boolean {
  const user = basicUserOf(authorization);
  return user !== null && deps.logins.knows(user);
}

/** Frees the connection of an answer that is not relayed. */
function discard({ body }: Answer): void {
  if (body.kind === "stream") body.cancel();
}

/** When a stream breaks off, it is too late for a fallback, but the fault is counted. */
function watchStream({ body }: Answer, route: Route, deps: AnswerCheckDeps): void {
  if (body.kind !== "stream") return;
  void body.ended.then((reason) => {
    if (reason !== null) deps.record.fault(route, reason);
  });
}

function fromUpstream(answer: Answer, label: VerdictLabel): Decision {
  return { source: "upstream", verdict: label, reply: relayed(answer), fallback: null };
}

/** For a check that is sent past the breaker. No generation has this number, so its outcome changes no breaker. */
const UNJUDGED: Asking = { kind: "ask", generation: -1, isTrial: false, waiting: new LinkedList() };

/** A person chose the fallback and not grace, or the client is redirected to the login and so has no session. */
const ENDS_GRACE: ReadonlySet<FallbackReason> = new Set(["override", "login_down"]);
/** RFC 9110 section 9.2.1. */
const SAFE_METHODS: ReadonlySet<string> = new Set(["GET", "HEAD", "OPTIONS"]);
/** A login's callback is a GET that redeems a code, so a plain proxy repeats only what no byte of an answer came to. */
const TRIED_ONCE: Trying = { kind: "once" };
const SHED: Decision = { source: "shed", verdict: "deny", reply: shedReply(), fallback: null };
const REFUSED: Decision = { source: "shed", verdict: "deny", reply: badCheck(), fallback: null };
