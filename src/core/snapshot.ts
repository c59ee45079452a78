/**
 * The snapshot: the config as immutable types. A check uses one snapshot from its begin to its end.
 * Times are milliseconds unless a name says otherwise.
 */
import type { BlockList } from "node:net";
import type { RawHeaders } from "./types.ts";

/** Addresses and networks, IPv4 and IPv6. */
export type AddressList = BlockList;

export interface Address {
  readonly host: string;
  readonly port: number;
}

interface Timeouts {
  readonly connect: number;
  /** To the next byte of the answer. */
  readonly read: number;
  /** The whole exchange, with the wait for a connection. */
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

export interface Upstream {
  readonly protocol: "http:" | "https:";
  /** In order of preference. A later one is tried when a connection fails. */
  readonly servers: readonly [Address, ...Address[]];
  readonly tls: UpstreamTls;
  readonly timeouts: Timeouts;
  readonly maxConnections: number;
  /** How many checks a connection carries at a time. */
  readonly pipelining: number;
  /** Bytes of an answer's head. */
  readonly headBytes: number;
  /** Bytes of an answer's body; null on `none` routes, which carry any size. */
  readonly answerBytes: number | null;
}

export interface FaultRules {
  /** Statuses that mean the upstream is broken. */
  readonly statuses: ReadonlySet<number>;
  /** Statuses that may mean the upstream is broken. Every other 5xx is suspect as well. */
  readonly suspectStatuses: ReadonlySet<number>;
  /** Whether a 400 with an empty body and no Set-Cookie is suspect (the full session store of 2026-04-18). */
  readonly bare400: boolean;
  /** Which faults and suspects a probe must confirm: core/treatment.ts. */
  readonly confirm: "auto" | "always" | "never";
}

/** When a route stops asking its upstream: core/breaker.ts. */
export interface BreakerRules {
  /** Counted faults in a row that open the breaker. */
  readonly failures: number;
  /** The wait before the first trial and after a good one. A bad trial doubles it, up to `maxInterval`. */
  readonly interval: number;
  readonly maxInterval: number;
  /** Good trials in a row that close the breaker. */
  readonly successes: number;
}

/** What the config sets in a probe; core/probe.ts takes the rest from checks. */
export interface ProbeRules {
  /** For Host and X-Forwarded-Host; null: the values of a check. */
  readonly host: string | null;
  /** For X-Forwarded-Uri. */
  readonly uri: string;
  /** These replace headers of the same name. */
  readonly headers: RawHeaders;
  /** How long a good probe result holds. */
  readonly minInterval: number;
  /** A login page that must answer 2xx for a redirect to count as a verdict; null: every redirect counts. */
  readonly loginHealth: { readonly upstream: Upstream; readonly target: string } | null;
}

export interface RateLimit {
  /** Failed logins from one address within `per`. */
  readonly failures: number;
  readonly per: number;
  /** Failed logins from all addresses together within `per`. */
  readonly global: number;
}

/** How long a client's own allow holds while the upstream is at fault, and what is kept of it: core/grace.ts. */
export interface GraceRules {
  readonly milliseconds: number;
  /** Lower case. A 200 without this header is not kept. */
  readonly usernameHeader: string;
  /** Lower case, with `usernameHeader`. No other header of the 200 is kept. */
  readonly identityHeaders: ReadonlySet<string>;
}

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
  /** null: there is no grace. */
  readonly grace: GraceRules | null;
  /** The page of a 401 or 503, HTML in UTF-8; null: our own page. */
  readonly page: Uint8Array | null;
}

export interface DenyFallback {
  readonly mode: "deny";
  readonly grace: GraceRules | null;
  /** The page of a 503, HTML in UTF-8; null: our own page. */
  readonly page: Uint8Array | null;
}

export type Fallback =
  | BasicAuthFallback
  | DenyFallback
  | { readonly mode: "allow" }
  | { readonly mode: "none" };

/** `prefix` is the part before "*", which ends in "/". */
export type PathRule =
  | { readonly kind: "exact"; readonly path: string }
  | { readonly kind: "prefix"; readonly prefix: string };

/** `match` is in lower case, without port: a whole host name, or the end of one from a dot on. */
export type HostRule =
  | { readonly kind: "exact"; readonly match: string }
  | { readonly kind: "suffix"; readonly match: string };

/** A fallback of its own for the hosts that match. */
export interface HostPolicy {
  readonly host: HostRule;
  readonly fallback: Fallback;
}

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
  /** The first one that matches X-Forwarded-Host replaces `fallback`. */
  readonly hosts: readonly HostPolicy[];
  /** Lower case. A 2xx that lacks one of these is refused (CVE-2026-25748). */
  readonly requireHeaders: readonly string[];
}

export interface Admin {
  readonly listen: Address;
  /** Path of the htpasswd file of the users that may make changes there; null: nobody may. */
  readonly htpasswd: string | null;
}

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

/** `auto`: plain checks take the fast path; `fastify`: all checks take the slow path. */
export type WireMode = "auto" | "fastify";

export interface Drain {
  readonly delay: number;
  readonly timeout: number;
}

/** A webhook that gets a message when a route enters or leaves fallback. */
export interface NotifyTarget {
  readonly upstream: Upstream;
  /** Path and query, which are often a secret. */
  readonly target: string;
  /** These replace our headers of the same name. Their values may be secrets. */
  readonly headers: RawHeaders;
}

export interface Snapshot {
  readonly admin: Admin;
  readonly log: LogOptions;
  readonly limits: Limits;
  readonly drain: Drain;
  /** Processes that answer checks. A change needs a new start. */
  readonly workers: number;
  readonly wire: WireMode;
  /** Proxies in front of the gateway; null: none. */
  readonly trustedProxies: AddressList | null;
  readonly notify: readonly NotifyTarget[];
  readonly routes: readonly Route[];
}
