import type {
  Address,
  AllowFallback,
  Expectations,
  Fallback,
  FaultRules,
  GraceRules,
  LoginHealth,
  NotifyTarget,
  ProbeRules,
  Route,
  Snapshot,
  Upstream,
  UpstreamTls,
} from "../core/snapshot.ts";
import { type Origin, toBlockList } from "./addresses.ts";
import { type EffectiveFallback, type EffectiveRoute, type Settled, settled } from "./effective.ts";
import { EXPECT_NOTHING, expectationsOf, gatewayOf, presets } from "./presets.ts";
import type { Config, HostConfig, RouteConfig } from "./schema.ts";
import type { TlsMaterial } from "./tls-files.ts";

/** What the files around a config hold; `routes` and `tls` are by route index. */
interface Surroundings {
  readonly routes: readonly EffectiveRoute[];
  readonly tls: readonly TlsMaterial[];
  resolve(file: string): string;
  /** The content of a `page` file. */
  page(file: string): Uint8Array;
}

/** Builds the snapshot from a config without problems. */
export function buildSnapshot(config: Config, around: Surroundings): Snapshot {
  const { admin, log, drain } = config;
  return {
    admin: { ...admin, htpasswd: admin.htpasswd && around.resolve(admin.htpasswd) },
    log,
    limits: { headBytes: config.limits.headBytes, connections: config.limits.connections },
    drain,
    workers: config.workers,
    wire: config.wire,
    trustedProxies: toBlockList(config.trustedProxies),
    notify: config.notify.map(buildNotify),
    routes: config.routes.map((route, index) => buildRoute(config, route, index, around)),
  };
}

function buildRoute(config: Config, route: RouteConfig, index: number, around: Surroundings): Route {
  const effective = settled(around.routes[index]);
  const fallback = buildFallback(route.fallback, effective, around);
  const { ca, cert, key } = around.tls[index] ?? { ca: null, cert: null, key: null };
  return {
    name: effective.name,
    listen: effective.listen,
    path: effective.path,
    gateway: route.gateway ?? gatewayOf(route.preset, effective.path),
    upstream: {
      ...serversAt(route.upstream),
      tls: { ca, cert, key, serverName: route.tls.serverName, verify: route.tls.verify },
      timeouts: route.timeouts,
      ...connectionsOf(route.maxConnections ?? presets[route.preset].maxConnections),
      pipelining: route.pipelining,
      headBytes: config.limits.headBytes,
      answerBytes: fallback.mode === "none" ? null : config.limits.answerBytes,
    },
    maxInFlight: route.maxInFlight,
    stripEmergencyCredentials: route.stripEmergencyCredentials,
    fault: buildFault(route, buildExpect(route, effective)),
    breaker: route.breaker,
    probe: buildProbe(route, config.limits.headBytes),
    fallback,
    hosts: route.hosts.map((host, position) => {
      const policy = settled(effective.hosts[position]);
      return { host: policy.host, fallback: buildHostFallback(host, route, policy, around) };
    }),
    requireHeaders: lowerCase(route.requireHeaders),
    loginOf: route.loginOf,
  };
}

/** A config without problems names at least one upstream, and the same protocol for all. */
function serversAt(origins: readonly Origin[]): Pick<Upstream, "protocol" | "servers"> {
  const [first, ...more] = origins;
  if (first === undefined) throw new Error("a config without problems names an upstream");
  return { protocol: first.protocol, servers: [addressOf(first), ...more.map(addressOf)] };
}

function addressOf({ host, port }: Origin): Address {
  return { host, port };
}

const FAULT_STATUSES = [502, 503, 504];
const SUSPECT_STATUSES = [500];

/** A status that the file puts in one list is removed from the default of the other. */
function buildFault({ fault }: RouteConfig, expect: Expectations): FaultRules {
  const statuses = new Set(fault.statuses ?? without(FAULT_STATUSES, fault.suspectStatuses));
  const suspectStatuses = new Set(fault.suspectStatuses ?? without(SUSPECT_STATUSES, fault.statuses));
  const match = fault.match.map(({ header, ...other }) => ({
    ...other,
    header: header?.toLowerCase() ?? null,
  }));
  return { statuses, suspectStatuses, bare400: fault.bare400, confirm: fault.confirm, match, expect };
}

/** A route of mode none relays every answer as it came, and it may carry pages of any kind. */
function buildExpect(
  { preset, expect: { challenge, allow } }: RouteConfig,
  { mode, path }: Settled<EffectiveRoute>,
): Expectations {
  if (mode === "none") return EXPECT_NOTHING;
  const known = expectationsOf(preset, path);
  return {
    challenge: challenge ? { ...challenge, headers: lowerCase(challenge.headers) } : known.challenge,
    allow: allow ? { headers: lowerCase(allow.headers) } : known.allow,
  };
}

function lowerCase(names: readonly string[]): readonly string[] {
  return names.map((name) => name.toLowerCase());
}

/**
 * Probes have connections of their own, because checks may have taken all the others. Two probes go side by side, and a
 * silent one is repeated on up to two more.
 */
const PROBE_CONNECTIONS = 6;

/** An upstream that bears few connections would not bear those of probes beside them. */
function connectionsOf(most: number): Pick<Upstream, "maxConnections" | "probeConnections"> {
  if (most > PROBE_CONNECTIONS + 1) return { maxConnections: most, probeConnections: PROBE_CONNECTIONS };
  return { maxConnections: Math.max(1, most - 1), probeConnections: 1 };
}

const DEFAULT_TLS: UpstreamTls = { ca: null, cert: null, key: null, serverName: null, verify: true };
const LOGIN_HEALTH = {
  ...{ tls: DEFAULT_TLS, maxConnections: 2, probeConnections: 0, pipelining: 1, answerBytes: null },
};

function buildProbe({ probe, timeouts }: RouteConfig, headBytes: number): ProbeRules {
  const { loginHealth, host, hosts, ...asks } = probe;
  return {
    ...asks,
    hosts: host === null ? hosts : [host],
    loginHealth: (loginHealth ?? []).map(
      ({ origin, target }): LoginHealth => ({
        upstream: { ...serversAt([origin]), ...LOGIN_HEALTH, timeouts, headBytes },
        target,
      }),
    ),
  };
}

const NOTIFY = {
  tls: DEFAULT_TLS,
  timeouts: { connect: 5_000, read: 10_000, total: 10_000 },
  maxConnections: 2,
  probeConnections: 0,
  pipelining: 1,
  headBytes: 64 * 1024,
  answerBytes: null,
};

function buildNotify({ url, headers }: Config["notify"][number]): NotifyTarget {
  return { upstream: { ...serversAt([url.origin]), ...NOTIFY }, target: url.target, headers };
}

function without(defaults: readonly number[], named: readonly number[] = []): number[] {
  return defaults.filter((status) => !named.includes(status));
}

type Login = Pick<RouteConfig["fallback"], "realm" | "allowFrom" | "rateLimit" | "grace" | "page"> & {
  readonly onOverload?: AllowFallback["onOverload"] | undefined;
};

function buildFallback(
  { realm, allowFrom, rateLimit, grace: milliseconds, page: file, onOverload = "shed" }: Login,
  { mode, htpasswd, usernameHeader, clearHeaders }: Settled<EffectiveFallback>,
  around: Surroundings,
): Fallback {
  if (mode === "none") return { mode };
  if (mode === "allow") return { mode, onOverload };
  const grace = milliseconds > 0 ? buildGrace(milliseconds, usernameHeader, clearHeaders) : null;
  const page = file === null ? null : around.page(file);
  if (mode === "deny") return { mode, grace, page };
  return {
    mode,
    realm,
    htpasswd: around.resolve(htpasswd),
    usernameHeader,
    clearHeaders,
    allowFrom: toBlockList(allowFrom),
    rateLimit,
    grace,
    page,
  };
}

function buildGrace(
  milliseconds: number,
  usernameHeader: string,
  clearHeaders: readonly string[],
): GraceRules {
  const names = [usernameHeader, ...clearHeaders].map((name) => name.toLowerCase());
  return { milliseconds, usernameHeader: usernameHeader.toLowerCase(), identityHeaders: new Set(names) };
}

/** A host inherits from its route what it leaves out, down to each number of the rate limit, but never grace. */
function buildHostFallback(
  { fallback: own }: HostConfig,
  { fallback: route }: RouteConfig,
  effective: Settled<EffectiveFallback>,
  around: Surroundings,
): Fallback {
  const login = {
    realm: own.realm ?? route.realm,
    allowFrom: own.allowFrom ?? route.allowFrom,
    rateLimit: {
      failures: own.rateLimit?.failures ?? route.rateLimit.failures,
      per: own.rateLimit?.per ?? route.rateLimit.per,
      global: own.rateLimit?.global ?? route.rateLimit.global,
    },
    grace: own.grace,
    page: own.page === undefined ? route.page : own.page,
    onOverload: own.onOverload ?? route.onOverload,
  };
  return buildFallback(login, effective, around);
}
