import type {
  Address,
  Fallback,
  FaultRules,
  GraceRules,
  NotifyTarget,
  ProbeRules,
  Route,
  Snapshot,
  Upstream,
  UpstreamTls,
} from "../core/snapshot.ts";
import { type Origin, toBlockList } from "./addresses.ts";
import { type EffectiveFallback, type EffectiveRoute, type Settled, settled } from "./effective.ts";
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
    upstream: {
      ...serversAt(route.upstream),
      tls: { ca, cert, key, serverName: route.tls.serverName, verify: route.tls.verify },
      timeouts: route.timeouts,
      maxConnections: route.maxConnections,
      pipelining: route.pipelining,
      headBytes: config.limits.headBytes,
      answerBytes: fallback.mode === "none" ? null : config.limits.answerBytes,
    },
    maxInFlight: route.maxInFlight,
    stripEmergencyCredentials: route.stripEmergencyCredentials,
    fault: buildFault(route),
    breaker: route.breaker,
    probe: buildProbe(route, config.limits.headBytes),
    fallback,
    hosts: route.hosts.map((host, position) => {
      const policy = settled(effective.hosts[position]);
      return { host: policy.host, fallback: buildHostFallback(host, route, policy, around) };
    }),
    requireHeaders: route.requireHeaders.map((name) => name.toLowerCase()),
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
function buildFault({ fault }: RouteConfig): FaultRules {
  const statuses = new Set(fault.statuses ?? without(FAULT_STATUSES, fault.suspectStatuses));
  const suspectStatuses = new Set(fault.suspectStatuses ?? without(SUSPECT_STATUSES, fault.statuses));
  return { statuses, suspectStatuses, bare400: fault.bare400, confirm: fault.confirm };
}

const DEFAULT_TLS: UpstreamTls = { ca: null, cert: null, key: null, serverName: null, verify: true };
const LOGIN_HEALTH = { tls: DEFAULT_TLS, maxConnections: 2, pipelining: 1, answerBytes: null };

function buildProbe({ probe, timeouts }: RouteConfig, headBytes: number): ProbeRules {
  const { loginHealth, ...asks } = probe;
  if (loginHealth === null) return { ...asks, loginHealth };
  const { origin, target } = loginHealth;
  return {
    ...asks,
    loginHealth: { upstream: { ...serversAt([origin]), ...LOGIN_HEALTH, timeouts, headBytes }, target },
  };
}

const NOTIFY = {
  tls: DEFAULT_TLS,
  timeouts: { connect: 5_000, read: 10_000, total: 10_000 },
  maxConnections: 2,
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

type Login = Pick<RouteConfig["fallback"], "realm" | "allowFrom" | "rateLimit" | "grace" | "page">;

function buildFallback(
  { realm, allowFrom, rateLimit, grace: milliseconds, page: file }: Login,
  { mode, htpasswd, usernameHeader, clearHeaders }: Settled<EffectiveFallback>,
  around: Surroundings,
): Fallback {
  if (mode === "allow" || mode === "none") return { mode };
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
  };
  return buildFallback(login, effective, around);
}
