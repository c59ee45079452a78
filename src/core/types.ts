/**
 * The words of sparekey as types. Everything here is data: read-only, without behaviour.
 * Times are milliseconds unless a name says otherwise; header text is latin1, one char per byte.
 */
import type { LinkedList } from "./linked-list.ts";

/** Name, value, name, value …: in the order and spelling received. */
export type RawHeaders = readonly string[];

/** One request of a gateway asking "may this pass?". */
export interface Check {
  readonly method: string;
  /** Path and query as received, starting with "/". */
  readonly target: string;
  /** `target` up to the first "?". Never decoded. */
  readonly path: string;
  readonly headers: RawHeaders;
  /** Whether Authorization is among `headers`: asked of every check, and most have none. */
  readonly hasAuthorization: boolean;
  /** Carried on `none` routes only; null when the check has none or its body stays behind. */
  readonly body: AsyncIterable<Uint8Array> | null;
  /** It is good until its reply is out; who refers to it for longer holds it, and lets go of it again. */
  hold(): void;
  release(): void;
}

/**
 * A whole body is complete and at most 64 KiB. A stream rejects when the upstream breaks off;
 * who does not read it to its end cancels it, or its connection stays taken.
 */
export type Body =
  | { readonly kind: "whole"; readonly bytes: Uint8Array }
  | {
      readonly kind: "stream";
      readonly chunks: AsyncIterable<Uint8Array>;
      readonly cancel: () => void;
      /** How it ended for the upstream: null when it came whole, or nobody wanted the rest. Never rejects. */
      readonly ended: Promise<FailureReason | null>;
    };

/** A final answer (never 1xx) of an upstream. */
export interface Answer {
  readonly status: number;
  readonly statusText: string;
  readonly headers: RawHeaders;
  readonly body: Body;
}

/** Evidence row 1: only the upstream or the network in front of it can cause these. */
export type ConnectFailure = "refused" | "unreachable" | "connect_timeout" | "dns" | "tls";
/** Evidence row 2: mostly the upstream, though a client's odd check may be behind it. */
export type AnswerFailure = "read_timeout" | "total_timeout" | "reset" | "malformed" | "too_large";
export type FailureReason = ConnectFailure | AnswerFailure;
/** Why an upstream gave no usable verdict. `login_down`: it sends people to a login page that is dead. */
export type FaultReason = FailureReason | SuspectReason | "login_down";
/** Why a check fell back. `override`: a person chose it. */
export type FallbackReason = FaultReason | "breaker_open" | "override";

/**
 * What an exchange yielded. Four outcomes say nothing of the upstream, so that no client can pass for a fault:
 * `abandoned`: the gateway went away first; `released`: the breaker opened meanwhile; `overload`: our own limits (no connection, socket or memory left);
 * `unsendable`: the check cannot be written as a valid request.
 */
export type Outcome =
  | { readonly kind: "answer"; readonly answer: Answer }
  /** `unasked`: it waited in line for a connection to the end, which others' checks may have brought about. */
  | { readonly kind: "failure"; readonly reason: FailureReason; readonly unasked?: true }
  | { readonly kind: "abandoned" }
  | { readonly kind: "released" }
  | { readonly kind: "overload" }
  | { readonly kind: "unsendable" };

/** Exchanges that wait for an answer: each is called, at most once, to give up waiting. */
export type Waiting = LinkedList<() => void>;

/** Whether a check may ask. `waiting`: who is in it learns when the breaker opens. */
export type Admission =
  | {
      readonly kind: "ask";
      readonly generation: number;
      readonly isTrial: boolean;
      readonly waiting: Waiting;
    }
  | { readonly kind: "refused" };
export type Asking = Extract<Admission, { kind: "ask" }>;

/** Fires once, when nobody waits any more. An AbortSignal is one. */
export interface Gone {
  readonly aborted: boolean;
  addEventListener(type: "abort", listener: () => void): void;
  removeEventListener(type: "abort", listener: () => void): void;
}

/** A check on its way to the upstream: whole, with what is needed to tell what of it stays here. */
export interface Forwarded {
  readonly check: Check;
  /** Whether an Authorization value must stay here. */
  readonly staysHere: (authorization: string) => boolean;
  /** May be sent a second time when a connection dies before the answer's first byte. */
  readonly repeatable: boolean;
}

/** What goes to the upstream: a check by the header rules of core/headers.ts, or a request of our own. */
export interface UpstreamRequest {
  readonly method: string;
  readonly target: string;
  readonly headers: RawHeaders;
  readonly body: AsyncIterable<Uint8Array> | null;
  /** May be sent a second time when a connection dies before the answer's first byte. */
  readonly repeatable: boolean;
}

/** An outcome classified. `suspect`: it could be the upstream's fault or the client's doing. */
export type Verdict =
  | { readonly kind: "allow" | "challenge" | "deny"; readonly answer: Answer }
  | { readonly kind: "suspect"; readonly reason: SuspectReason; readonly answer: Answer }
  | {
      readonly kind: "fault";
      readonly reason: FaultReason;
      readonly answer: Answer | null;
      readonly unasked?: true;
    };
export type SuspectReason = `status_${number}` | "bare_400";

/** A verdict that the upstream gave. */
export type Decided = Exclude<Verdict, { kind: "fault" | "suspect" }>;

/** What a probe made of a suspicion: the upstream is broken, or the client caused it. */
export type Judgement = "confirmed" | "cleared";

export interface Reply {
  readonly status: number;
  readonly statusText: string;
  readonly headers: RawHeaders;
  readonly body: Body;
}

/** The label `verdict` of sparekey_checks_total. `error`: neither pass, login nor refusal (a 5xx). */
export type VerdictLabel = "allow" | "challenge" | "deny" | "error";
export type FallbackMode = "allow" | "basic-auth" | "deny" | "none";
/** The label `result` of sparekey_fallback_total. */
export type FallbackResult = "allowed" | "challenged" | "rejected" | "limited" | "denied";

/** Where a decision comes from. `override`: a person's choice for the route, in place of what would have been done. */
export type Source = "upstream" | "fallback" | "grace" | "override" | "shed";

/** What we finally do, and its source. */
export interface Decision {
  readonly source: Source;
  readonly verdict: VerdictLabel;
  readonly reply: Reply;
  /** null: the upstream's word went back, or our own limits refused. */
  readonly fallback: FallenBack | null;
}

/** How a check fell back. */
export interface FallenBack {
  readonly mode: FallbackMode;
  readonly reason: FallbackReason;
  readonly result: FallbackResult;
  /** null: no login was asked for. */
  readonly login: LoginResult | null;
}

/** A name and password taken from an Authorization header (RFC 7617). */
export interface Credentials {
  readonly user: string;
  readonly password: string;
}

/**
 * What became of an emergency login. The kinds are the label `result` of sparekey_emergency_logins_total; why one
 * is forbidden only the log tells.
 */
export type LoginResult =
  | { readonly kind: "ok"; readonly user: string }
  | { readonly kind: "missing" }
  | { readonly kind: "bad" }
  | { readonly kind: "limited"; readonly retryAfterSeconds: number }
  | { readonly kind: "forbidden"; readonly why: ForbiddenReason };
/** `no_address`: `allowFrom` is set, and the client's address is unknown. `no_users`: no usable htpasswd. */
export type ForbiddenReason = "outside_allow_from" | "no_address" | "no_users";

export interface HtpasswdProblem {
  readonly line: number;
  readonly message: string;
}

/** What a person chose for a route: always to fall back, or never to. */
export type OverrideMode = "fallback" | "upstream";

/** An override began or ended. */
export type OverrideEvent =
  | {
      readonly kind: "begins";
      readonly route: string;
      readonly mode: OverrideMode;
      readonly seconds: number;
      readonly user: string;
      /** In that person's words; null: none were given. */
      readonly reason: string | null;
    }
  | {
      readonly kind: "ended";
      readonly route: string;
      readonly mode: OverrideMode;
      /** `person`: also by choosing another one. `reload`: the route is gone. */
      readonly by: "expiry" | "person" | "reload";
      /** null: no person. */
      readonly user: string | null;
    };

/** What became of reading the config again. */
export type ReloadResult =
  | { readonly ok: true }
  | { readonly ok: false; readonly problems: readonly string[] };

/** A route entered or left fallback: sparekey_fallback_active changed. `mode`, `reason`: how it began. */
export type FallbackChange =
  | {
      readonly event: "fallback_began";
      readonly route: string;
      readonly mode: FallbackMode;
      readonly reason: FallbackReason;
    }
  | {
      readonly event: "fallback_ended";
      readonly route: string;
      readonly mode: FallbackMode;
      readonly reason: FallbackReason;
      /** From its begin to the last fallback, or to the closing of the breaker when that came later. */
      readonly seconds: number;
    };

/** Why a message did not get through. `removed`: its target left the config; `ending`: the process did. */
export type NotifyReason =
  | FailureReason
  | `status_${number}`
  | Exclude<Outcome["kind"], "answer" | "failure">
  | "removed"
  | "ending";

/** How telling a target goes. `lost`: messages given up since the last event of the target. */
export type NotifyEvent = {
  /** Scheme, host and port: path and query are no one's to see. */
  readonly origin: string;
  /** Its index in the config's `notify`. */
  readonly entry: number;
} & (
  | { readonly kind: "failing"; readonly reason: NotifyReason }
  | { readonly kind: "working"; readonly lost: number }
  | { readonly kind: "given_up"; readonly reason: NotifyReason; readonly lost: number }
);
