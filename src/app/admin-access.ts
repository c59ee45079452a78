/** The person at the admin listener: who may act there, by a password of its own, and what becomes of it. */
import { randomBytes } from "node:crypto";
import type { AdminActions } from "../admin/actions.ts";
import { addressText } from "../core/address-text.ts";
import { type ProbeResult, worstOf } from "../core/probe.ts";
import type { Admin, RateLimit, Route } from "../core/snapshot.ts";
import type { HtpasswdEvent, ReloadResult } from "../core/types.ts";
import type { InTime } from "../login/htpasswd-files.ts";
import { createLogins } from "../login/logins.ts";
import { createPasswordPool } from "../login/password-pool.ts";
import type { Logger } from "../observe/log/logger.ts";
import { createWallClock } from "../observe/status/wall-clock.ts";
import type { News, TimelineEntry } from "../observe/timeline.ts";
import type { Overrides } from "../route/overrides.ts";

/** What failed logins are counted under: there is one admin listener. */
const PLACE = "admin";
const RATE_LIMIT: RateLimit = { failures: 10, per: 60_000, global: 300 };

export interface AdminAccess {
  readonly actions: AdminActions;
  /** Reads the file of `next`, beside the one in use: a reload may still fail. */
  prepare(next: Admin): Promise<void>;
  /** From now on by this config alone. */
  use(admin: Admin): void;
  close(): Promise<void>;
}

export interface AdminAccessDeps {
  readonly overrides: Overrides;
  readonly logger: Logger;
  readonly onFile: (event: HtpasswdEvent) => void;
  readonly inTime: InTime;
  /** As the config in use has them. */
  routes(): readonly Route[];
  reload(): Promise<ReloadResult>;
  /** Probes at once: one finding of each process. Never rejects. */
  probe(route: string): Promise<readonly ProbeResult[]>;
  readonly onNews: (news: News) => void;
  /** What happened, the newest first. */
  told(): readonly TimelineEntry[];
  /** Milliseconds, monotonic. */
  readonly now: () => number;
}

export function createAdminAccess(options: AdminAccessDeps): AdminAccess {
  const { overrides, logger, onFile, onNews, inTime, routes, reload, now } = options;
  // Apart from the emergency login: a flood there must not keep the operator out, nor do the names mix.
  const pool = createPasswordPool({ size: 1 });
  const logins = createLogins({ now, randomBytes, pool, onFile, inTime });
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
      logger.info("reload asked for", { user });
      return reload();
    },
    probe: async (route, user) => {
      const finding = worstOf(await options.probe(route));
      const { kind } = finding;
      logger.info("probe asked for", { route, user, finding: "reason" in finding ? finding.reason : kind });
      onNews({ kind: "probed", route, user, finding });
      return finding;
    },
    routes: () => routes().map(({ name }) => name),
    upstreamOf: (name) => {
      const upstream = routes().find((route) => route.name === name)?.upstream;
      return upstream?.servers.map((server) => `${upstream.protocol}//${addressText(server)}`) ?? [];
    },
    timeline: options.told,
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
