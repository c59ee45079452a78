/**
 * The terms of sparekey as types: read-only data without behaviour.
 * Times are milliseconds unless a name says otherwise. Header text is latin1, one char per byte.
 */
import type { LinkedList } from "./linked-list.ts";
import type { FaultRules } from "./snapshot.ts";

/** Name, value, name, value …, in the order and spelling received. */
export type RawHeaders = readonly string[];

/** One request of a gateway asking "may this pass?". */
export interface Check {
  readonly method: string;
  /** Path and query as received, starting with "/". */
  readonly target: string;
  /** `target` up to the first "?". Never decoded. */
  readonly path: string;
  readonly headers: RawHeaders;
  /** Whether `headers` hold Authorization. It is kept here because every check is asked, and most have none. */
  readonly hasAuthorization: boolean;
  readonly hasCookie: boolean;
  /** Only `none` routes forward a body. null: the check has none, or the route forwards none. */
  readonly body: AsyncIterable<Uint8Array> | null;
  /** A check is valid until its reply is sent. To use it for longer, hold it and release it afterwards. */
  hold(): void;
  release(): void;
}

/**
 * A whole body is complete and at most 64 KiB. A stream rejects when the upstream breaks off. It must be read to
 * its end or cancelled, because it keeps its connection until then.
 */
export type Body =
  | { readonly kind: "whole"; readonly bytes: Uint8Array }
  | {
      readonly kind: "stream";
      readonly chunks: AsyncIterable<Uint8Array>;
      readonly cancel: () => void;
      /** Why the upstream broke off; null when the body came whole or was cancelled. Never rejects. */
      readonly ended: Promise<FailureReason | null>;
    };

/** A final answer (never 1xx) of an upstream. */
export interface Answer {
  readonly status: number;
  readonly statusText: string;
  readonly headers: RawHeaders;
  readonly body: Body;
  /** `lacksHeader` of core/classify.ts, for an answer whose headers are bytes as long as nobody asks for their text. */
  lacks?(names: readonly string[]): boolean;
}

/**
 * Row 1 of the evidence table: only the upstream or the network in front of it can cause these. A `connect_timeout` is in
 * row 2, because a crowd of clients can fill the queue that a server takes connections from.
 */
export type ConnectFailure = "refused" | "unreachable" | "connect_timeout" | "dns" | "tls";
/** Row 2 of the evidence table: the upstream mostly causes these, but a client's odd check may. */
export type AnswerFailure = "read_timeout" | "total_timeout" | "reset" | "malformed" | "too_large";
export type FailureReason = ConnectFailure | AnswerFailure;
/**
 * Why an upstream gave no usable verdict. `login_down`: it sends people to a login that does not work. `abandoned`: its
 * gateway gave up on a check that had waited unusually long.
 */
export type FaultReason = FailureReason | SuspectReason | "login_down" | "abandoned";
/** Why a check fell back. `override`: a person chose the fallback. `overload`: the upstream was busy with others. */
export type FallbackReason = FaultReason | "breaker_open" | "override" | "overload";

/**
 * What an exchange yielded. The last six alone say nothing about the upstream, so that no client can fake a fault:
 * - `abandoned`: the gateway went away first. `isLate`: it had waited as long as a hedge would (row 4).
 * - `hurried`: the time is nearly up after which the gateway goes away. It is row 4 as well.
 * - `released`: the breaker opened while the check waited.
 * - `busy`: the upstream answered checks of other clients meanwhile, and took as long for them (core/busy.ts).
 * - `overload`: one of our own limits was reached (connections, sockets, memory).
 * - `unsendable`: the check cannot be written as a valid request.
 */
export type Outcome =
  | { readonly kind: "answer"; readonly answer: Answer }
  /**
   * `unasked`: the time ran out in the wait queue, which checks of other clients may have filled. `silent`: not a byte
   * of an answer came before a timeout.
   */
  | {
      readonly kind: "failure";
      readonly reason: FailureReason;
      readonly unasked?: true;
      readonly silent?: true;
    }
  | { readonly kind: "abandoned"; readonly isLate: boolean }
  | { readonly kind: "hurried" }
  | { readonly kind: "released" }
  | { readonly kind: "busy" }
  | { readonly kind: "overload" }
  | { readonly kind: "unsendable" };

/** Exchanges that wait for an answer. Calling an entry, at most once, makes its exchange give up waiting. */
export type Waiting = LinkedList<() => void>;

/** Whether a check may ask the upstream. The entries of `waiting` are called when the breaker opens. */
export type Admission =
  | {
      readonly kind: "ask";
      readonly generation: number;
      readonly isTrial: boolean;
      readonly waiting: Waiting;
    }
  | { readonly kind: "refused" };
export type Asking = Extract<Admission, { kind: "ask" }>;

/** Fires once, when nobody waits for the result any more. An AbortSignal is one. */
export interface Gone {
  readonly aborted: boolean;
  addEventListener(type: "abort", listener: () => void): void;
  removeEventListener(type: "abort", listener: () => void): void;
}

/**
 * How a request may be tried again: core/attempts.ts. `check`: after a bad answer and beside a slow one, within the
 * budget. `probe`: likewise over fresh connections, without a budget. `once`: only if nothing of it was heard.
 */
export type Trying =
  | {
      readonly kind: "check";
      readonly fault: FaultRules;
      /** Whose part of the budget is used, and in whose queue it waits: core/client-address.ts, `limitKey`. */
      readonly client: () => string;
      /** Whether a probe for the client's host is proven, so that a refusal of the check is odd. */
      readonly isProvenHost: () => boolean;
      /**
       * Called when the check has waited unusually long, and then about once a second while it still waits. It must not
       * throw.
       */
      readonly late: () => void;
      /** For how many milliseconds the gateway waits; null: it does not say. */
      readonly patience: number | null;
    }
  | {
      readonly kind: "probe";
      readonly fault: FaultRules;
      /** The verdict that the probe is known to get: any other is odd. null: it is not known. */
      readonly holds: ProvenVerdict | null;
      /** Milliseconds for the whole probe; null: the upstream's timeouts. */
      readonly patience: number | null;
    }
  | { readonly kind: "once" };

/** What a healthy upstream is known to answer to a probe. */
export type ProvenVerdict = "challenge" | "allow";

/** A check on its way to the upstream, before core/headers.ts has removed what the upstream must not get. */
export interface Forwarded {
  readonly check: Check;
  /** Whether an Authorization value must not be sent to the upstream. */
  readonly staysHere: (authorization: string) => boolean;
  /** May reach the upstream a second time. */
  readonly repeatable: boolean;
  readonly trying: Trying;
  /** When the check came in, in milliseconds of the monotonic clock. */
  readonly begin: number;
}

/** A request as the upstream gets it: a check after the header rules of core/headers.ts, or a request of our own. */
export interface UpstreamRequest {
  readonly method: string;
  readonly target: string;
  readonly headers: RawHeaders;
  readonly body: AsyncIterable<Uint8Array> | null;
  /** May reach the upstream a second time. */
  readonly repeatable: boolean;
  readonly trying: Trying;
}

/** An outcome classified. `suspect`: either the upstream or the client may have caused it. */
export type Verdict =
  | { readonly kind: "allow" | "challenge" | "deny"; readonly answer: Answer }
  | { readonly kind: "suspect"; readonly reason: SuspectReason; readonly answer: Answer }
  | {
      readonly kind: "fault";
      readonly reason: FaultReason;
      readonly answer: Answer | null;
      readonly unasked?: true;
      readonly silent?: true;
    };
/** `unexpected`: a verdict that lacks what those of a healthy upstream always have. */
export type SuspectReason = `status_${number}` | "bare_400" | "unexpected";

/** A verdict that the upstream gave, and that is relayed. */
export type Decided = Exclude<Verdict, { kind: "fault" | "suspect" }>;
export type Undecided = Exclude<Verdict, Decided>;

/** What a probe showed: `confirmed`: the upstream is broken; `cleared`: the client caused the fault. */
export type Judgement = "confirmed" | "cleared";

/** How far a route's probes can be believed. */
export interface ProbeStanding {
  /** What a probe of its own was answered in quiet times; null: none is proven. */
  readonly proven: ProvenVerdict | null;
  /** The 4xx other than 401 that a probe of a route with logins was answered last; null: none. */
  readonly refused: number | null;
}

/** How a login of a person came to its end. `loop`: it went well, and the check after it was sent to the login again. */
export type LoginEnd = "ok" | "failed" | "loop";

/** The reply to the gateway, which has the same parts as an answer. */
export type Reply = Answer;

/** The label `verdict` of sparekey_checks_total. `error`: a 5xx, so neither a pass, a login nor a refusal. */
export type VerdictLabel = "allow" | "challenge" | "deny" | "error";
export type FallbackMode = "allow" | "basic-auth" | "deny" | "none";
/** The label `result` of sparekey_fallback_total. */
export type FallbackResult = "allowed" | "challenged" | "rejected" | "limited" | "denied";

/** Where a decision comes from. `override`: a person chose for the route. `shed`: our own limits refused the check. */
export type Source = "upstream" | "fallback" | "grace" | "override" | "shed";

/** What we finally do, and its source. */
export interface Decision {
  readonly source: Source;
  readonly verdict: VerdictLabel;
  readonly reply: Reply;
  /** null: the upstream's answer was relayed, or our own limits refused the check. */
  readonly fallback: FallenBack | null;
}

/** How a check fell back. */
export interface FallenBack {
  readonly mode: FallbackMode;
  readonly reason: FallbackReason;
  readonly result: FallbackResult;
  /** null: this fallback has no login, or the check passed by grace. */
  readonly login: LoginResult | null;
}

/** A name and password taken from an Authorization header (RFC 7617). */
export interface Credentials {
  readonly user: string;
  readonly password: string;
}

/** The result of an emergency login. The kinds are the label `result` of sparekey_emergency_logins_total. */
export type LoginResult =
  | { readonly kind: "ok"; readonly user: string }
  | { readonly kind: "missing" }
  | { readonly kind: "bad" }
  | { readonly kind: "limited"; readonly retryAfterSeconds: number }
  | { readonly kind: "forbidden"; readonly why: ForbiddenReason };
/**
 * Only the log tells the reason. `no_address`: `allowFrom` is set, but the client's address is unknown.
 * `no_users`: there is no usable htpasswd file.
 */
export type ForbiddenReason = "outside_allow_from" | "no_address" | "no_users";

export interface HtpasswdProblem {
  readonly line: number;
  readonly message: string;
}

/** What a person chose for a route: `fallback` always falls back, `upstream` never does. */
export type OverrideMode = "fallback" | "upstream";

/** An override began or ended. */
export type OverrideEvent =
  | {
      readonly kind: "begins";
      readonly route: string;
      readonly mode: OverrideMode;
      readonly seconds: number;
      readonly user: string;
      /** The reason that the person gave; null: none. */
      readonly reason: string | null;
    }
  | {
      readonly kind: "ended";
      readonly route: string;
      readonly mode: OverrideMode;
      /** `person`: ended by hand or replaced by another override. `reload`: the new config has no such route. */
      readonly by: "expiry" | "person" | "reload";
      /** null: no person ended it. */
      readonly user: string | null;
    };

/** The result of a reload. */
export type ReloadResult =
  | { readonly ok: true }
  | { readonly ok: false; readonly problems: readonly string[] };

/** A route entered or left fallback, so sparekey_fallback_active changed. `mode` and `reason` tell how it began. */
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
      /** From the begin to the last check that fell back, or to the closing of the breaker if that came later. */
      readonly seconds: number;
    };

/** Why a message was not delivered. `removed`: the new config lacks its target. `ending`: the process ends. */
export type NotifyReason =
  | FailureReason
  | `status_${number}`
  | Exclude<Outcome["kind"], "answer" | "failure">
  | "removed"
  | "ending";

/** How the deliveries to a target go. `lost`: messages given up since the last event of this target. */
export type NotifyEvent = {
  /** Scheme, host and port. Path and query may be secrets, so no event holds them. */
  readonly origin: string;
  /** Index of the target in the config's `notify`. */
  readonly entry: number;
} & (
  | { readonly kind: "failing"; readonly reason: NotifyReason }
  | { readonly kind: "working"; readonly lost: number }
  | { readonly kind: "given_up"; readonly reason: NotifyReason; readonly lost: number }
);
