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
  /** For checks. */
  readonly maxConnections: number;
  /** For probes, which checks cannot take. */
  readonly probeConnections: number;
  /** How many checks a connection carries at a time. */
  readonly pipelining: number;
  /** Bytes of an answer's head. */
  readonly headBytes: number;
  /** Bytes of an answer's body; null on `none` routes, which carry any size. */
  readonly answerBytes: number | null;
}

/** Whose words a route's checks are in: core/dialect.ts says which headers these are. */
export type Gateway = "traefik" | "nginx" | "caddy" | "envoy" | "haproxy";

/** What a verdict of a healthy upstream always has. One that lacks it is suspect. Names are in lower case. */
export interface Expectations {
  readonly challenge: {
    readonly headers: readonly string[];
    /** How its Location begins; null: any. */
    readonly location: string | null;
    /** How the name of a cookie begins that it sets, in the case that the upstream writes; null: any, or none. */
    readonly cookie: string | null;
  };
  readonly allow: { readonly headers: readonly string[] };
}

/** An answer that is a fault whatever its status means elsewhere. `header` is in lower case. */
export interface AnswerMatch {
  readonly status: number;
  readonly header: string | null;
  /** A part of the body. */
  readonly body: string | null;
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
  readonly match: readonly AnswerMatch[];
  readonly expect: Expectations;
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

/** A page that must answer 2xx. */
export interface LoginHealth {
  readonly upstream: Upstream;
  readonly target: string;
}

/** What the config sets in a probe; core/templates.ts learns the rest from checks. */
export interface ProbeRules {
  /** Hosts of the client that a probe asks for. */
  readonly hosts: readonly string[];
  /** The client's URI. */
  readonly uri: string;
  /** These replace headers of the same name. */
  readonly headers: RawHeaders;
  /** How long a good probe result holds. */
  readonly minInterval: number;
  /** Pages that must answer 2xx for a challenge to count as a verdict; empty: every challenge counts. */
  readonly loginHealth: readonly LoginHealth[];
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

export interface AllowFallback {
  readonly mode: "allow";
  /** What a check gets whose upstream is busy with others. */
  readonly onOverload: "shed" | "fallback";
}

export type Fallback = BasicAuthFallback | DenyFallback | AllowFallback | { readonly mode: "none" };

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
  readonly gateway: Gateway;
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
  /** Whose login pages the route carries, so that logins are counted: core/login-progress.ts. null: nobody's. */
  readonly loginOf: "authentik" | null;
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
