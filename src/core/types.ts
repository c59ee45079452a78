/**
 * The words of sparekey as types. Everything here is data: read-only, without behaviour.
 * Times are milliseconds unless a name says otherwise; header text is latin1, one char per byte.
 */
import type { BlockList } from "node:net";

/** Addresses and networks, IPv4 and IPv6. */
export type AddressList = BlockList;

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
  /** Carried on `none` routes only; null when the check has none or its body stays behind. */
  readonly body: AsyncIterable<Uint8Array> | null;
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
export type Waiting = Set<() => void>;

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

/** What goes to the upstream: a check by the header rules of core/headers.ts. */
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

/** What became of reading an htpasswd file, once per change. `unreadable` means zero users from now on. */
export type HtpasswdEvent =
  | {
      readonly kind: "loaded";
      readonly file: string;
      readonly users: number;
      readonly problems: readonly HtpasswdProblem[];
    }
  | { readonly kind: "unreadable"; readonly file: string; readonly problem: string };

export interface Address {
  readonly host: string;
  readonly port: number;
}

export interface Timeouts {
  readonly connect: number;
  /** To the next byte of the answer. */
  readonly read: number;
  /** The whole exchange, waiting for a connection included. */
  readonly total: number;
}

/** PEM text or bytes, read when the config was loaded. */
export interface UpstreamTls {
  readonly ca: Uint8Array | null;
  readonly cert: Uint8Array | null;
  readonly key: Uint8Array | null;
  /** null: each server's own host. */
  readonly serverName: string | null;
  readonly verify: boolean;
}

/** What a route asks. */
export interface Upstream {
  readonly protocol: "http:" | "https:";
  /** In order of preference: later ones are tried when a connection fails. */
  readonly servers: readonly [Address, ...Address[]];
  readonly tls: UpstreamTls;
  readonly timeouts: Timeouts;
  readonly maxConnections: number;
  /** Bytes of an answer's head. */
  readonly headBytes: number;
  /** Bytes of an answer's body; null on `none` routes, which carry any size. */
  readonly answerBytes: number | null;
}

export interface FaultRules {
  /** Statuses that mean the upstream is broken. */
  readonly statuses: ReadonlySet<number>;
  /** Statuses that may mean it. Every other 5xx is suspect as well. */
  readonly suspectStatuses: ReadonlySet<number>;
  /** Whether a 400 with an empty body and no Set-Cookie is suspect (the full session store of 2026-04-18). */
  readonly bare400: boolean;
  /** Which faults and suspects a probe must confirm: core/treatment.ts. */
  readonly confirm: "auto" | "always" | "never";
}

/** When a route stops asking its upstream: core/breaker.ts. */
export interface BreakerRules {
  /** Counted faults in a row that open it. */
  readonly failures: number;
  /** Until the first trial, and after a good one. Doubled after each bad one, up to `maxInterval`. */
  readonly interval: number;
  readonly maxInterval: number;
  /** Good trials in a row that close it. */
  readonly successes: number;
}

/** What a probe asks, where it does not repeat the last check that got a verdict: core/probe.ts. */
export interface ProbeRules {
  /** For Host and X-Forwarded-Host; null: as the last check had them. */
  readonly host: string | null;
  /** For X-Forwarded-Uri. */
  readonly uri: string;
  /** In place of those of the same name. */
  readonly headers: RawHeaders;
  /** How long a good finding holds. */
  readonly minInterval: number;
  /** Must answer 2xx for a redirect to count as a verdict; null: not asked. */
  readonly loginHealth: { readonly upstream: Upstream; readonly target: string } | null;
}

export interface RateLimit {
  /** Failed logins from one address within `per`. */
  readonly failures: number;
  readonly per: number;
  /** Failed logins from all addresses together within `per`. */
  readonly global: number;
}

/** For how long a client's own allow holds while the upstream is at fault, and what is kept of it. */
export interface GraceRules {
  readonly milliseconds: number;
  /** Lower case. A 200 without it names nobody and is not kept. */
  readonly usernameHeader: string;
  /** Lower case, `usernameHeader` among them. No other header of the 200 is kept. */
  readonly identityHeaders: ReadonlySet<string>;
}

/** What a person chose for a route: always to fall back, or never to. */
export type OverrideMode = "fallback" | "upstream";

export interface BasicAuthFallback {
  readonly mode: "basic-auth";
  readonly realm: string;
  /** Path of the htpasswd file. */
  readonly htpasswd: string;
  readonly usernameHeader: string;
  readonly clearHeaders: readonly string[];
  /** null: the emergency login is open to any address. */
  readonly allowFrom: AddressList | null;
  readonly rateLimit: RateLimit;
  /** null: an allow holds for the one check it was given to. */
  readonly grace: GraceRules | null;
}

export type Fallback =
  | BasicAuthFallback
  | { readonly mode: "deny"; readonly grace: GraceRules | null }
  | { readonly mode: "allow" }
  | { readonly mode: "none" };

/** `prefix` holds the part before "*", with its "/" at the end. */
export type PathRule =
  | { readonly kind: "exact"; readonly path: string }
  | { readonly kind: "prefix"; readonly prefix: string };

/** `match`: a host name in lower case, without port. `suffix`: what a "*." pattern ends in, from its dot on. */
export type HostRule =
  | { readonly kind: "exact"; readonly match: string }
  | { readonly kind: "suffix"; readonly match: string };

/** Another fallback for the hosts it matches. */
export interface HostPolicy {
  readonly host: HostRule;
  readonly fallback: Fallback;
}

/** Match rule, upstream and policy. */
export interface Route {
  readonly name: string;
  readonly listen: Address;
  readonly path: PathRule;
  readonly upstream: Upstream;
  readonly maxInFlight: number;
  readonly stripEmergencyCredentials: boolean;
  readonly fault: FaultRules;
  readonly breaker: BreakerRules;
  readonly probe: ProbeRules;
  readonly fallback: Fallback;
  /** The first match on X-Forwarded-Host wins over `fallback`. */
  readonly hosts: readonly HostPolicy[];
  /** Lower case. A 2xx without any one of these is refused (CVE-2026-25748). */
  readonly requireHeaders: readonly string[];
}

export interface Admin {
  readonly listen: Address;
  /** Path of the file of who may change something there; null: nobody. */
  readonly htpasswd: string | null;
}

/** What became of reading the config again. */
export type ReloadResult =
  | { readonly ok: true }
  | { readonly ok: false; readonly problems: readonly string[] };

export type LogLevel = "debug" | "info" | "warn" | "error";

export interface LogOptions {
  readonly level: LogLevel;
  readonly access: "off" | "sampled" | "all";
}

export interface Limits {
  /** Bytes of a check's or an answer's head. */
  readonly headBytes: number;
  /** Connections of gateways, per listener. */
  readonly connections: number;
}

export interface Drain {
  readonly delay: number;
  readonly timeout: number;
}

/** Who is told when a route enters or leaves fallback. */
export interface NotifyTarget {
  readonly upstream: Upstream;
  /** Path and query. Often a secret. */
  readonly target: string;
  /** In place of ours of the same name. Values may be secrets. */
  readonly headers: RawHeaders;
}

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

/** The immutable config one check sees throughout. */
export interface Snapshot {
  readonly admin: Admin;
  readonly log: LogOptions;
  readonly limits: Limits;
  readonly drain: Drain;
  /** Proxies in front of the gateway; null: none. */
  readonly trustedProxies: AddressList | null;
  readonly notify: readonly NotifyTarget[];
  readonly routes: readonly Route[];
}
