/**
 * THE DATA PATH: one check from start to end, in `answerCheck`.
 * Whatever touches the world is a port passed in; whatever decides is in core/.
 */
import { basicUserOf, credentialsFrom } from "./basic-credentials.ts";
import { classify, isRedirect, lacksHeader } from "./classify.ts";
import { clientAddress, isListed, limitKey } from "./client-address.ts";
import { graceFallback, loginFallback, opensLoginBox, plainFallback, proxyErrorFor } from "./fallback.ts";
import { authorizationForApp, firstHeader } from "./headers.ts";
import { fallbackFor } from "./host-policy.ts";
import { LinkedList } from "./linked-list.ts";
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
  FallbackReason,
  FaultReason,
  ForbiddenReason,
  Forwarded,
  Gone,
  Judgement,
  LoginResult,
  Outcome,
  OverrideMode,
  RawHeaders,
  Verdict,
  VerdictLabel,
  Waiting,
} from "./types.ts";

/** What the data path needs from the world. */
export interface AnswerCheckDeps {
  /** Always settles, never rejects. `gone` fires when the gateway no longer waits. */
  exchange(upstream: Upstream, forwarded: Forwarded, gone: Gone, waiting: Waiting): Promise<Outcome>;
  readonly logins: {
    /** Whether an htpasswd file in use, of whatever route, holds this name now. */
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
  };
  /** Milliseconds, monotonic. */
  now(): number;
}

/** What goes with a route from one check to the next: how its upstream is, and what a person chose. */
export interface RouteState {
  inFlight: number;
  readonly health: {
    admit(check: Check): Admission;
    /** What an admitted check brought. null: nothing that says anything of the upstream. */
    observe(asking: Asking, check: Check, verdict: Verdict | null): void;
    /** Whether the upstream is broken or the client caused it, by a probe; null: our own limits kept it from asking. */
    judge(check: Check): Promise<Judgement | null>;
    /** Whether a redirect to the login leads anywhere. */
    isLoginUp(): Promise<boolean>;
  };
  readonly grace: {
    /** Keeps the identity of an allow; forgets it after a challenge or a refusal. `begin`: when the check came in. */
    observe(check: Check, verdict: Decided, rules: GraceRules, begin: number): void;
    /** The identity headers of an allow that this very client got, while it holds; else null. */
    recall(check: Check, rules: GraceRules): RawHeaders | null;
  };
  /** What a person chose, as long as it holds. */
  override(): OverrideMode | null;
}

/** What applies to a check that comes in now, and stays with it to the end. */
export interface Routing {
  readonly table: RouteTable;
  readonly trustedProxies: AddressList | null;
  stateOf(route: Route): RouteState;
  /** A check began: what it refers to is kept until its `release`. */
  hold(): void;
  release(): void;
}

export interface CheckContext {
  readonly route: Route;
  readonly state: RouteState;
  readonly trustedProxies: AddressList | null;
  readonly gone: Gone;
}

interface Asked extends CheckContext {
  readonly check: Check;
  /** When it came in. */
  readonly begin: number;
}

/** null: the gateway went away, so there is nobody to reply to and nothing to count. */
export async function answerCheck(
  check: Check,
  context: CheckContext,
  deps: AnswerCheckDeps,
): Promise<Decision | null> {
  const { route, state, gone } = context;
  const { health } = state;
  const { exchange, record, now } = deps;
  const begin = now();
  const asked: Asked = { route, state, trustedProxies: context.trustedProxies, gone, check, begin };
  const finish = (decision: Decision, end = now()): Decision => {
    record.check(route, check, decision, end - begin);
    return decision;
  };

  // Our own limit comes first and never falls back: a flood must not open the door.
  if (state.inFlight >= route.maxInFlight) return finish(SHED);

  const override = state.override();
  if (override === "fallback") return finish(await fallBack(asked, "override", deps));

  // While the breaker is open nobody waits for an upstream that is known to be broken.
  const admission = override === "upstream" ? UNJUDGED : health.admit(check);
  if (admission.kind === "refused") return finish(await fallBack(asked, "breaker_open", deps));

  const forwarded = forward(check, route, deps);
  state.inFlight += 1;
  let outcome: Outcome;
  try {
    outcome = await exchange(route.upstream, forwarded, gone, admission.waiting);
  } finally {
    state.inFlight -= 1;
  }

  // Four outcomes say nothing of the upstream, so no client can pass for a fault.
  if (outcome.kind !== "answer" && outcome.kind !== "failure") health.observe(admission, check, null);
  if (outcome.kind === "abandoned") return null;
  if (outcome.kind === "overload") return finish(SHED);
  if (outcome.kind === "unsendable") return finish(REFUSED);
  if (outcome.kind === "released") return finish(await fallBack(asked, "breaker_open", deps));
  let heardAt = now();
  if (outcome.kind === "answer") {
    record.answer(route, outcome.answer.status, heardAt - begin);
    watchStream(outcome.answer, route, deps);
  }

  const classified = withIdentity(classify(outcome, route.fault), route);
  if (override === "upstream") return finish(decideAsUpstream(asked, classified, deps));
  // Nothing is awaited for what nearly every check brings: each wait costs a turn of the queue.
  let verdict = classified;
  if (leadsToLogin(classified)) {
    verdict = await withLoginUp(asked, classified);
    heardAt = now();
  }
  health.observe(admission, check, verdict);
  if (isDecided(verdict)) return finish(decideByVerdict(asked, verdict, deps), heardAt);
  return finish(await decideByTreatment(asked, verdict, deps));
}

/** A yes that does not say to whom is a no. */
function withIdentity(verdict: Verdict, { requireHeaders }: Route): Verdict {
  if (verdict.kind !== "allow" || !lacksHeader(verdict.answer, requireHeaders)) return verdict;
  discard(verdict.answer);
  return { kind: "deny", answer: forbidden() };
}

type Undecided = Exclude<Verdict, Decided>;

function isDecided(verdict: Verdict): verdict is Decided {
  return verdict.kind !== "fault" && verdict.kind !== "suspect";
}

function leadsToLogin(verdict: Verdict): verdict is Decided {
  return verdict.kind === "challenge" && isRedirect(verdict.answer.status);
}

/** A redirect is a verdict only where the login page it leads to is alive. Its client has no session all the same. */
async function withLoginUp(asked: Asked, verdict: Decided): Promise<Verdict> {
  if (await asked.state.health.isLoginUp()) return verdict;
  noteForGrace(asked, verdict);
  return { kind: "fault", reason: "login_down", answer: verdict.answer };
}

/** The evidence table: relay what came, or fall back, or ask a probe which of the two it is. */
async function decideByTreatment(asked: Asked, verdict: Undecided, deps: AnswerCheckDeps): Promise<Decision> {
  const { check, route, state } = asked;
  const { mode } = fallbackFor(route, check);
  const treatment = treatmentOf(verdict, mode, route.fault.confirm);
  if (treatment === "confirm") {
    const judgement = await state.health.judge(check);
    if (judgement !== null) deps.record.suspect(route, verdict.reason, judgement);
    if (judgement === "cleared") return ownDoing(verdict, "upstream");
    if (judgement === null) return shed(verdict.answer);
  }
  if (verdict.kind === "fault" || treatment === "confirm") deps.record.fault(route, verdict.reason);
  if (treatment === "relay") return ownDoing(verdict, "upstream");
  if (verdict.answer) discard(verdict.answer);
  return fallBack(asked, verdict.reason, deps);
}

/** A person chose that nothing falls back: what came goes back, or a proxy error where nothing did. */
function decideAsUpstream(asked: Asked, verdict: Verdict, deps: AnswerCheckDeps): Decision {
  if (verdict.kind === "fault") deps.record.fault(asked.route, verdict.reason);
  return isDecided(verdict) ? decideByVerdict(asked, verdict, deps) : ownDoing(verdict, "override");
}

/** The upstream's word, as it came. */
function decideByVerdict(asked: Asked, verdict: Decided, deps: AnswerCheckDeps): Decision {
  const { check, route } = asked;
  noteForGrace(asked, verdict);
  if (verdict.kind === "allow") return allow(check, route, verdict.answer, deps);
  return fromUpstream(verdict.answer, verdict.kind);
}

function noteForGrace({ check, route, state, begin }: Asked, verdict: Decided): void {
  const grace = graceRules(fallbackFor(route, check));
  if (grace) state.grace.observe(check, verdict, grace, begin);
}

/**
 * With the client's own Authorization, unless the upstream set one for the app: a gateway that copies Authorization
 * from here takes the client's away, so that the emergency password, which stays here, never reaches an app.
 */
function allow(check: Check, route: Route, answer: Answer, deps: AnswerCheckDeps): Decision {
  if (!check.hasAuthorization || route.fallback.mode === "none") return fromUpstream(answer, "allow");
  if (firstHeader(answer.headers, "authorization") !== null) return fromUpstream(answer, "allow");
  const isEmergency = (authorization: string) => isEmergencyLogin(authorization, deps);
  const authorization = authorizationForApp(check.headers, isEmergency);
  return { ...fromUpstream(answer, "allow"), reply: relayed(answer, authorization) };
}

/** What the client brought about goes back to it: the answer as it came, or a proxy error where none did. */
function ownDoing({ answer, reason }: Undecided, source: "upstream" | "override"): Decision {
  const reply = answer ? relayed(answer) : proxyErrorFor(reason);
  return { source, verdict: "error", reply, fallback: null };
}

async function fallBack(asked: Asked, reason: FallbackReason, deps: AnswerCheckDeps): Promise<Decision> {
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

/** `allow` lets everybody through as it is, and a plain proxy has no allow to keep. */
function graceRules(fallback: Fallback): GraceRules | null {
  return fallback.mode === "basic-auth" || fallback.mode === "deny" ? fallback.grace : null;
}

function whyForbidden({ allowFrom }: BasicAuthFallback, address: string | null): ForbiddenReason | null {
  if (allowFrom === null) return null;
  if (address === null) return "no_address";
  return isListed(address, allowFrom) ? null : "outside_allow_from";
}

function forward(check: Check, route: Route, deps: AnswerCheckDeps): Forwarded {
  const { method, body } = check;
  return {
    check,
    staysHere: (authorization) => route.stripEmergencyCredentials && isEmergencyLogin(authorization, deps),
    // A check asks and changes nothing, whatever the method of the request it is about.
    repeatable: body === null && (route.fallback.mode !== "none" || SAFE_METHODS.has(method)),
  };
}

/**
 * An outpost would turn emergency credentials into a token request to its core. A browser sends them with every
 * check of a site, so the upstreams of the other routes must not get them either.
 */
function isEmergencyLogin(authorization: string, deps: AnswerCheckDeps): boolean {
  const user = basicUserOf(authorization);
  return user !== null && deps.logins.knows(user);
}

/** An answer that nobody will read. */
function discard({ body }: Answer): void {
  if (body.kind === "stream") body.cancel();
}

/** What our own limits kept us from finding out is no fallback. */
function shed(answer: Answer | null): Decision {
  if (answer) discard(answer);
  return SHED;
}

/** A stream that breaks off on its way is too late for a fallback, but counts. */
function watchStream({ body }: Answer, route: Route, deps: AnswerCheckDeps): void {
  if (body.kind !== "stream") return;
  void body.ended.then((reason) => {
    if (reason !== null) deps.record.fault(route, reason);
  });
}

function fromUpstream(answer: Answer, label: VerdictLabel): Decision {
  return { source: "upstream", verdict: label, reply: relayed(answer), fallback: null };
}

/** Of a check that is asked past the breaker: no generation has this number, so what comes of it moves nothing. */
const UNJUDGED: Asking = { kind: "ask", generation: -1, isTrial: false, waiting: new LinkedList() };

/** A person who chose the fallback did not choose what was before it; who is sent to the login has no session. */
const ENDS_GRACE: ReadonlySet<FallbackReason> = new Set(["override", "login_down"]);
/** RFC 9110 section 9.2.1. */
const SAFE_METHODS: ReadonlySet<string> = new Set(["GET", "HEAD", "OPTIONS"]);
const SHED: Decision = { source: "shed", verdict: "deny", reply: shedReply(), fallback: null };
const REFUSED: Decision = { source: "shed", verdict: "deny", reply: badCheck(), fallback: null };
