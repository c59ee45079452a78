/**
 * Which replies are right: the evidence table and the fallback modes as data. They are written down here a second time,
 * from the documents (README, "What starts a fallback") and not from sparekey's code.
 *
 *  row 1  cannot be reached                   every mode falls back
 *  row 2  silent, broken off, a fault status  every mode falls back; a probe fails as well, so `allow` does too
 *  row 3  a 500, a bare 400, an odd refusal   the same, check by check: the breaker stays closed
 *  login  a challenge while a login page is dead    the same, for clients that are challenged
 *  fine   an answer like any other            it goes back as it came
 *
 * - A probe may be wrong itself where the fault began before any check was answered. Then it lets nobody in, and opens
 *   no breaker, unless nobody answers it at all. In the other modes it may show the login.
 * - A check that is confirmed by a probe just after the end of the fault is cleared: its own answer goes back, or a
 *   proxy error where there was none.
 * - What cannot be told yet is shed, but only for a moment after the fault began.
 * - Mode `none` relays the upstream's own answer, and replies 502 or 504 where there is none.
 */
import { type AnswerShape, type Client, MARK, type UpstreamAnswer } from "./answers.ts";

export const MODES = ["allow", "basic-auth", "deny", "none"] as const;
export type Mode = (typeof MODES)[number];

export interface Fault {
  readonly name: string;
  readonly row: 1 | 2 | 3 | "login" | "fine";
  /** The upstream's answer under the fault; null: no answer, or the same as of a healthy upstream. */
  readonly answer: UpstreamAnswer | AnswerShape | null;
  /** What the healthy upstream answers. */
  readonly verdicts: Readonly<Record<Client, UpstreamAnswer | AnswerShape>>;
  /** `cookie-less`: clients with a session get a verdict at all times. `banned`: all others do. */
  readonly hits: "all" | "cookie-less" | "banned";
  /** Not a byte comes, for whoever it hits. */
  readonly isSilent: boolean;
  /** A probe may be wrong itself, because no check was answered before the fault began. */
  readonly isUnproven: boolean;
  /** It answers everybody, but some of a crowd later than `read`. */
  readonly isBusy: boolean;
  /** After how many milliseconds a gateway gives up on a check; null: it waits for the reply. */
  readonly patience: number | null;
  /** The reasons in metrics. The first must be seen. The others may be, for checks in flight when the fault began. */
  readonly reasons: readonly string[];
}

/**
 * `verdict`: the unchanged answer of the healthy upstream to this client. `own answer`: the unchanged answer under the
 * fault. `given up`: the gateway left without a reply. `odd`: any other reply, which is never right.
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
  | "given up"
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
  const relayed = relayedKind(reply, client, fault);
  const isMarked = headers[MARK.name.toLowerCase()] !== undefined;
  // The upstream may forbid to store its answer too.
  if (relayed !== "odd" || isMarked || headers["cache-control"] !== "no-store") return relayed;
  const [kind, holds] = OURS[`${status} ${headers["x-auth-fallback"] ?? ""}`.trim()] ?? [];
  return kind !== undefined && holds?.(reply) ? kind : "odd";
}

/** `moments`: all moments between the check and its reply. */
export function isRight(
  kind: ReplyKind,
  fault: Fault,
  mode: Mode,
  client: Client,
  moments: readonly Moment[],
): boolean {
  // Where the machine stalls, an impatient gateway gives up on a healthy upstream too. An open breaker replies at once.
  if (kind === "given up" && fault.patience !== null) return moments.some((moment) => moment !== "open");
  // sparekey's own limits may refuse a check at any time, because that is no pass. The figures show how often.
  if (kind === "shed") return true;
  return moments.some((moment) => rightKinds(fault, mode, client, moment).includes(kind));
}

/**
 * Whether the breaker of the mode opens. `may`: a plain proxy has no logins, so its probes may not be proven, and an
 * answer that is a fault goes back in any case.
 */
export function opens(fault: Fault, mode: Mode): "must" | "may" | "never" {
  const { row, hits, isSilent, isUnproven, patience } = fault;
  // People who are answered show an upstream that works, if not for all.
  if ((row !== 1 && row !== 2) || hits !== "all") return "never";
  // Nobody knows how long a page of a plain proxy takes, so a gateway that gives up on one may be no evidence.
  if (mode === "none" && patience !== null) return "may";
  if (row === 1 || isSilent) return "must";
  if (isUnproven) return "never";
  return mode === "none" ? "may" : "must";
}

export function opensAny(fault: Fault): boolean {
  return MODES.some((mode) => opens(fault, mode) === "must");
}

export function rightKinds(fault: Fault, mode: Mode, client: Client, moment: Moment): readonly ReplyKind[] {
  if (!isHit(fault, client)) return ["verdict"];
  // What was heard of a login page holds for a moment, and a challenge goes back for as long.
  if (moment === "healthy") return fault.row === "login" ? ["verdict", "own answer"] : ["verdict"];
  const closed = underFault(fault, mode, client);
  if (fault.isBusy && mode === "none") return [closed, "proxy error"];
  if (moment === "closed") return [closed];
  // A live trial gets what a closed breaker would give.
  const open = opens(fault, mode) === "never" ? [closed] : [closed, fallbackOf(mode, client)];
  return moment === "open" ? open : [...open, ...clearedOf(fault, mode), "verdict"];
}

/** Whether the client notices the fault. */
export function isHit({ hits }: Fault, client: Client): boolean {
  if (hits === "banned") return client === "banned";
  return hits === "all" || (client !== "member" && client !== "banned");
}

/** What a check gets whose probe was sent after the upstream was healed. */
function clearedOf({ row, isSilent, answer }: Fault, mode: Mode): readonly ReplyKind[] {
  if (mode === "none" || (row !== 2 && row !== 3)) return [];
  // A repair cuts the connections in use. A check that was never sent is confirmed in every mode.
  const withoutAnswer: readonly ReplyKind[] = mode === "allow" || isSilent ? ["proxy error"] : [];
  const isConfirmed = answer !== null && (row === 3 || mode === "allow");
  return isConfirmed ? [...withoutAnswer, "own answer"] : withoutAnswer;
}

function underFault(fault: Fault, mode: Mode, client: Client): ReplyKind {
  const { answer, verdicts } = fault;
  const own = answer === null || answer === verdicts[client] ? "verdict" : "own answer";
  const isUntold = fault.isUnproven && !fault.isSilent && mode === "allow";
  if (isUntold && (fault.row === 2 || fault.row === 3)) return "shed";
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
  if (isSame(reply, fault.verdicts[client])) return "verdict";
  return fault.answer !== null && isSame(reply, fault.answer) ? "own answer" : "odd";
}

function isSame(reply: SeenReply, answer: UpstreamAnswer | AnswerShape): boolean {
  if (reply.headers["x-auth-fallback"] !== undefined) return false;
  return "statuses" in answer ? hasShape(reply, answer) : isEqual(reply, answer);
}

function hasShape({ status, headers }: SeenReply, { statuses, has, lacks }: AnswerShape): boolean {
  if (!statuses.includes(status)) return false;
  return (
    has.every((name) => headers[name] !== undefined) && lacks.every((name) => headers[name] === undefined)
  );
}

function isEqual(reply: SeenReply, answer: UpstreamAnswer): boolean {
  if (reply.status !== answer.status || reply.body !== answer.body) return false;
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
