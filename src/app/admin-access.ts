/** What an operator may do at the admin listener, which has passwords of its own. */
import { randomBytes } from "node:crypto";
import type { AdminActions } from "../admin/actions.ts";
import { addressText } from "../core/address-text.ts";
import { type ProbeResult, worstOf } from "../core/probe.ts";
import type { Admin, RateLimit, Route } from "../core/snapshot.ts";
import type { ReloadResult } from "../core/types.ts";
import type { InTime } from "../login/htpasswd-files.ts";
import { createLogins } from "../login/logins.ts";
import { createPasswordPool } from "../login/password-pool.ts";
import type { Report } from "../observe/event.ts";
import type { EndpointReport } from "../observe/report.ts";
import type { TimelineEntry } from "../observe/timeline.ts";
import { createWallClock } from "../observe/wall-clock.ts";
import type { Overrides } from "../route/overrides.ts";

/** Failed logins are counted under this name, because there is one admin listener. */
const PLACE = "admin";
const RATE_LIMIT: RateLimit = { failures: 10, per: 60_000, global: 300 };

export interface AdminAccess {
  readonly actions: AdminActions;
  /** Reads the file of `next` beside the one in use, because a reload may still fail. */
  prepare(next: Admin): Promise<void>;
  /** Uses this config alone from now on. */
  use(admin: Admin): void;
  close(): Promise<void>;
}

interface AdminAccessDeps {
  readonly overrides: Overrides;
  readonly report: Report;
  readonly inTime: InTime;
  /** The routes of the config in use. */
  routes(): readonly Route[];
  reload(): Promise<ReloadResult>;
  /** Probes at once, and gives one result of each process. Never rejects. */
  probe(route: string): Promise<readonly ProbeResult[]>;
  /** The endpoints of a route's upstream. */
  endpointsOf(route: string): readonly EndpointReport[];
  /** The newest first. */
  timeline(): readonly TimelineEntry[];
  /** Milliseconds, monotonic. */
  readonly now: () => number;
}

export function createAdminAccess(deps: AdminAccessDeps): AdminAccess {
  const { overrides, report, inTime, routes, reload, now } = deps;
  // These logins are apart from the emergency login: a flood there must not keep the operator out, and no name of
  // one counts for the other.
  const pool = createPasswordPool({ size: 1 });
  const logins = createLogins({ now, randomBytes, pool, report, inTime });
  const wallClock = createWallClock(now, Date.now);
  let htpasswd: string | null = null;

  const useFiles = (files: readonly (string | null)[]): Promise<void> =>
    logins.use(files.filter((file) => file !== null));

  const actions: AdminActions = {
    isOpen: () => htpasswd !== null,
    login: async (credentials, address) => {
      if (htpasswd === null) return { kind: "forbidden", why: "no_users" };
      return logins.attempt(PLACE, { htpasswd, rateLimit: RATE_LIMIT }, credentials, address);
    },
    reload: (user) => {
      report({ kind: "reload_asked", user });
      return reload();
    },
    probe: async (route, user) => {
      const result = worstOf(await deps.probe(route));
      report({ kind: "probed", route, user, result });
      return result;
    },
    routes: () => routes().map(({ name }) => name),
    upstreamOf: (name) => {
      const upstream = routes().find((route) => route.name === name)?.upstream;
      return upstream?.servers.map((server) => `${upstream.protocol}//${addressText(server)}`) ?? [];
    },
    endpointsOf: deps.endpointsOf,
    timeline: deps.timeline,
    overrideOf: (route) => {
      const mode = overrides.of(route);
      if (mode === null) return null;
      return { mode, until: wallClock(now() + overrides.left(route)), reason: overrides.reason(route) };
    },
    override: (route, mode, milliseconds, user, reason) => {
      if (mode === null) overrides.clear(route, user);
      else overrides.set(route, { mode, reason }, milliseconds, user);
    },
  };
  return {
    actions,
    prepare: (next) => useFiles([htpasswd, next.htpasswd]),
    use: (admin) => {
      htpasswd = admin.htpasswd;
      void useFiles([htpasswd]);
    },
    close: () => {
      logins.close();
      return pool.close();
    },
  };
}
