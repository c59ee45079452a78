/** What the admin listener lets a person do, done by the parts that serve. */
import type { Admin, RateLimit, ReloadResult } from "./core/types.ts";
import type { Logins } from "./io/logins.ts";
import type { Logger } from "./observe/logs.ts";
import type { Overrides } from "./overrides.ts";
import type { AdminActions } from "./servers/admin-actions.ts";

/** What failed logins are counted under: there is one admin listener. */
const PLACE = "admin";
const RATE_LIMIT: RateLimit = { failures: 10, per: 60_000, global: 300 };

export interface AdminActionsOptions {
  /** Not those of the emergency login: a flood there must not keep the operator out, nor do the names mix. */
  readonly logins: Logins;
  readonly overrides: Overrides;
  readonly logger: Logger;
  /** As the config in use has it. */
  admin(): Admin;
  /** Names, as the config in use has them. */
  routes(): readonly string[];
  reload(): Promise<ReloadResult>;
}

export function createAdminActions(options: AdminActionsOptions): AdminActions {
  const { logins, overrides, logger, admin, routes, reload } = options;
  return {
    isOpen: () => admin().htpasswd !== null,
    login: async (credentials, address) => {
      const { htpasswd } = admin();
      if (htpasswd === null) return { kind: "forbidden", why: "no_users" };
      return logins.attempt(PLACE, { htpasswd, rateLimit: RATE_LIMIT }, credentials, address);
    },
    reload: (user) => {
      logger.info("reload asked for", { user });
      return reload();
    },
    routes,
    override: (route, mode, milliseconds, user) => {
      if (mode === null) overrides.clear(route, user);
      else overrides.set(route, mode, milliseconds, user);
    },
    now: Date.now,
  };
}
