/**
 * The snapshot: the config as types, immutable, and all that one check sees of it throughout.
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
  /** Checks on a connection at a time. */
  readonly pipelining: number;
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
  /** What people see in 401 and 503, HTML in UTF-8. null: our own words. */
  readonly page: Uint8Array | null;
}

export interface DenyFallback {
  readonly mode: "deny";
  readonly grace: GraceRules | null;
  /** As for the emergency login. */
  readonly page: Uint8Array | null;
}

export type Fallback =
  | BasicAuthFallback
  | DenyFallback
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

/** What carries checks. `auto`: plain ones as bytes over raw sockets; `fastify`: all over Fastify and undici. */
export type WireMode = "auto" | "fastify";

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

/** The immutable config one check sees throughout. */
export interface Snapshot {
  readonly admin: Admin;
  readonly log: LogOptions;
  readonly limits: Limits;
  readonly drain: Drain;
  /** Processes that answer checks, as a start takes it. */
  readonly workers: number;
  readonly wire: WireMode;
  /** Proxies in front of the gateway; null: none. */
  readonly trustedProxies: AddressList | null;
  readonly notify: readonly NotifyTarget[];
  readonly routes: readonly Route[];
}
