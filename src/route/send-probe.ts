/** Sends probes to the upstream, and to the login page that it redirects to. */
import { addressText } from "../core/address-text.ts";
import type { Ask } from "../core/ask.ts";
import { isRedirect } from "../core/classify.ts";
import { LinkedList } from "../core/linked-list.ts";
import { type ProbeResult, type ProbeTemplate, probeRequest, probeResultOf } from "../core/probe.ts";
import type { Route, Upstream } from "../core/snapshot.ts";
import type { Outcome, UpstreamRequest } from "../core/types.ts";

export interface SendProbeDeps {
  readonly ask: Ask;
  readonly userAgent: string;
  /** Aborts every probe. */
  readonly stop: AbortSignal;
}

const LOGIN_UP: ProbeResult = { kind: "fine", passed: true };
const LOGIN_DOWN: ProbeResult = { kind: "suspect", reason: "login_down" };

/** `upstream`: the route's own, or a copy of it with connections that checks cannot take. */
export async function sendProbe(
  route: Route,
  upstream: Upstream,
  template: ProbeTemplate,
  isLoginUp: () => Promise<boolean>,
  deps: SendProbeDeps,
): Promise<{ readonly outcome: Outcome; readonly result: ProbeResult }> {
  const outcome = await send(upstream, probeRequest(route, template, deps.userAgent), deps);
  const redirected = outcome.kind === "answer" && isRedirect(outcome.answer.status);
  if (redirected && !(await isLoginUp())) return { outcome, result: LOGIN_DOWN };
  return { outcome, result: probeResultOf(outcome, route.fault) };
}

/** `fine`: the login page answers 2xx, or the route names none. */
export async function askLogin({ probe }: Route, deps: SendProbeDeps): Promise<ProbeResult> {
  if (probe.loginHealth === null) return LOGIN_UP;
  const { upstream, target } = probe.loginHealth;
  const headers = ["Host", addressText(upstream.servers[0]), "User-Agent", deps.userAgent];
  const outcome = await send(
    upstream,
    { method: "GET", target, headers, body: null, repeatable: true, trying: { kind: "once" } },
    deps,
  );
  if (outcome.kind === "failure") return LOGIN_DOWN;
  if (outcome.kind !== "answer") return { kind: "unknown" };
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
