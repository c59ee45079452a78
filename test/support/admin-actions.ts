import type { AdminActions } from "../../src/admin/actions.ts";

/** Actions of a page on which nothing can be changed. */
export const CLOSED_ACTIONS: AdminActions = {
  isOpen: () => false,
  login: async () => ({ kind: "forbidden", why: "no_users" }),
  reload: async () => ({ ok: true }),
  probe: async () => ({ kind: "unknown" }),
  routes: () => [],
  upstreamOf: () => [],
  endpointsOf: () => [],
  timeline: () => [],
  override: () => {},
  overrideOf: () => null,
};
