/** Sends probes to the upstream, and to the pages that a login needs. */
import { addressText } from "../core/address-text.ts";
import type { Ask } from "../core/ask.ts";
import { LinkedList } from "../core/linked-list.ts";
import { type Finding, findingOf, LOGIN_DOWN, NOTHING_FOUND } from "../core/probe.ts";
import type { LoginHealth, Route, Upstream } from "../core/snapshot.ts";
import type { Outcome, UpstreamRequest } from "../core/types.ts";

export interface SendProbeDeps {
  readonly ask: Ask;
  readonly userAgent: string;
  /** Aborts every probe. */
  readonly stop: AbortSignal;
}

const LOGIN_UP: Finding = {
  result: { kind: "fine", passed: true },
  verdict: { kind: "allow", status: 200, isNamed: false },
  isSilence: false,
};

/** `upstream`: the route's own, or a copy of it with connections that checks cannot take. */
export async function sendProbe(
  route: Route,
  upstream: Upstream,
  request: UpstreamRequest,
  isLoginUp: () => Promise<boolean>,
  deps: SendProbeDeps,
): Promise<{ readonly outcome: Outcome; readonly finding: Finding }> {
  const outcome = await send(upstream, request, deps);
  const finding = findingOf(outcome, route.fault);
  // A challenge is worth nothing where the login that it leads to does not work.
  const isDown = finding.verdict?.kind === "challenge" && !(await isLoginUp());
  return { outcome, finding: isDown ? LOGIN_DOWN : finding };
}

/** `fine`: the page answers 2xx. */
export async function askLogin({ upstream, target }: LoginHealth, deps: SendProbeDeps): Promise<Finding> {
  const headers = ["Host", addressText(upstream.servers[0]), "User-Agent", deps.userAgent];
  const outcome = await send(
    upstream,
    { method: "GET", target, headers, body: null, repeatable: true, trying: { kind: "once" } },
    deps,
  );
  if (outcome.kind === "failure") return LOGIN_DOWN;
  if (outcome.kind !== "answer") return NOTHING_FOUND;
  const { status } = outcome.answer;
  return status >= 200 && status < 300 ? LOGIN_UP : LOGIN_DOWN;
}

/** Only the head of a probe's answer matters, so the rest of a stream is cancelled. */
async function send(
  upstream: Upstream,
  request: UpstreamRequest,
  { ask, stop }: SendProbeDeps,
): Promise<Outcome> {
  const outcome = await ask(upstream, request, stop, new LinkedList());
  if (outcome.kind === "answer" && outcome.answer.body.kind === "stream") outcome.answer.body.cancel();
  return outcome;
}
