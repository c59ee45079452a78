/**
 * Which replies are right: the evidence table and the fallback modes as data. They are written down here a second time,
 * from the documents (README, "What starts a fallback") and not from sparekey's code.
 *
 *  row 1  cannot be reached                   every mode falls back
 *  row 2  silent, broken off, a fault status  every mode falls back; a probe fails as well, so `allow` does too
 *  row 3  a 500, a bare 400                   the same, check by check: the breaker stays closed
 *  login  a redirect to a dead login page     the same, for clients that are redirected
 *  fine   an answer like any other            it goes back as it came
 * Mode `none` relays the upstream's own answer, and replies 502 or 504 where there is none.
 */
import { type Client, MARK, type UpstreamAnswer, VERDICTS } from "./answers.ts";

export const MODES = ["allow", "basic-auth", "deny", "none"] as const;
export type Mode = (typeof MODES)[number];

export interface Fault {
  readonly name: string;
  readonly row: 1 | 2 | 3 | "login" | "fine";
  /** The upstream's answer under the fault; null: no answer, or the same as of a healthy upstream. */
  readonly answer: UpstreamAnswer | null;
  /** `cookie-less`: clients with a session get a verdict at all times. */
  readonly hits: "all" | "cookie-less";
  /** The reasons in metrics. The first must be seen. The others may be, for checks in flight when the fault began. */
  readonly reasons: readonly string[];
}

/**
 * `verdict`: the unchanged answer of the healthy upstream to this client. `own answer`: the unchanged answer under the
 * fault. `odd`: any other reply, which is never right.
 */
export type ReplyKind =
  | "verdict"
  | "own answer"
  | "allow"
  | "login page"
  | "logged in"
  | "deny"
  | "proxy error"
  | "shed"
  | "odd";

export type Moment = "healthy" | "closed" | "open" | "recovering";

export interface SeenReply {
  readonly status: number;
  /** Lower-case names. */
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
  readonly body: string;
}

const CLEARED = ["x-authentik-uid", "x-authentik-email", "x-authentik-name", "x-authentik-groups"];
const IDENTITY = [...CLEARED, "x-authentik-username"];

/** By status and X-Auth-Fallback: the only possible kind of a reply, and what else the reply must hold. */
const OURS: Readonly<Record<string, readonly [kind: ReplyKind, holds: (reply: SeenReply) => boolean]>> = {
  "200 allow": ["allow", (reply) => namesNobody(reply) && reply.body === ""],
  "200 basic-auth": ["logged in", isLogin],
  "401 basic-auth": ["login page", (reply) => namesNobody(reply) && isLoginBox(reply)],
  "503 deny": ["deny", (reply) => namesNobody(reply) && hasRetryAfter(reply)],
  "503": ["shed", (reply) => namesNobody(reply) && hasRetryAfter(reply)],
  "502": ["proxy error", namesNobody],
  "504": ["proxy error", namesNobody],
};

/** The kind of a reply. A fallback that lacks anything it must hold is `odd`. */
export function kindOf(reply: SeenReply, client: Client, fault: Fault): ReplyKind {
  const { status, headers } = reply;
  if (headers[MARK.name.toLowerCase()] !== undefined) return relayedKind(reply, client, fault);
  const [kind, holds] = OURS[`${status} ${headers["x-auth-fallback"] ?? ""}`.trim()] ?? [];
  if (kind === undefined || headers["cache-control"] !== "no-store") return "odd";
  return holds?.(reply) ? kind : "odd";
}

/** `moments`: all moments between the check and its reply. */
export function isRight(
  kind: ReplyKind,
  fault: Fault,
  mode: Mode,
  client: Client,
  moments: readonly Moment[],
): boolean {
  // sparekey's own limits may refuse a check at any time, because that is no pass. The figures show how often.
  if (kind === "shed") return true;
  return moments.some((moment) => rightKinds(fault, mode, client, moment).includes(kind));
}

/** Whether the breaker must open. If not, it must stay closed. */
export function opens({ row }: Fault): boolean {
  return row === 1 || row === 2;
}

export function rightKinds(fault: Fault, mode: Mode, client: Client, moment: Moment): readonly ReplyKind[] {
  if (moment === "healthy") return ["verdict"];
  if (fault.hits === "cookie-less" && (client === "member" || client === "banned")) return ["verdict"];
  const closed = underFault(fault, mode, client);
  if (moment === "closed") return [closed];
  // A live trial gets what a closed breaker would give.
  const open = opens(fault) ? [closed, fallbackOf(mode, client)] : [closed];
  return moment === "open" ? open : [...open, "verdict"];
}

function underFault(fault: Fault, mode: Mode, client: Client): ReplyKind {
  const own = fault.answer === null ? "verdict" : "own answer";
  switch (fault.row) {
    case "fine":
      return own;
    case 1:
      return fallbackOf(mode, client);
    case 2:
      return mode === "none" && fault.answer !== null ? own : fallbackOf(mode, client);
    case 3:
    case "login":
      return mode === "none" ? own : fallbackOf(mode, client);
  }
}

function fallbackOf(mode: Mode, client: Client): ReplyKind {
  switch (mode) {
    case "allow":
      return "allow";
    case "basic-auth":
      return client === "admin" ? "logged in" : "login page";
    case "deny":
      return "deny";
    case "none":
      return "proxy error";
  }
}

function relayedKind(reply: SeenReply, client: Client, fault: Fault): ReplyKind {
  if (isSame(reply, VERDICTS[client])) return "verdict";
  return fault.answer !== null && isSame(reply, fault.answer) ? "own answer" : "odd";
}

function isSame(reply: SeenReply, answer: UpstreamAnswer): boolean {
  if (reply.status !== answer.status || reply.body !== answer.body) return false;
  if (reply.headers["x-auth-fallback"] !== undefined) return false;
  const names = new Set([...Object.keys(answer.headers).map((name) => name.toLowerCase()), ...IDENTITY]);
  const expected = new Map(
    Object.entries(answer.headers).map(([name, value]) => [name.toLowerCase(), value]),
  );
  return [...names].every((name) => String(reply.headers[name]) === String(expected.get(name)));
}

function isLogin({ headers, body }: SeenReply): boolean {
  if (body !== "" || headers["x-authentik-username"] !== "admin") return false;
  return CLEARED.every((name) => headers[name] === "");
}

function isLoginBox({ headers }: SeenReply): boolean {
  return headers["www-authenticate"] === 'Basic realm="Emergency Access", charset="UTF-8"';
}

function namesNobody({ headers }: SeenReply): boolean {
  return IDENTITY.every((name) => headers[name] === undefined);
}

function hasRetryAfter({ headers }: SeenReply): boolean {
  return /^[0-9]+$/.test(String(headers["retry-after"]));
}
