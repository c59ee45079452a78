/** Whether the pages answer that a login needs (`probe.loginHealth`). All must, for a challenge to be worth anything. */
import { confirms, type Finding, holds } from "../core/probe.ts";
import type { LoginHealth, Route } from "../core/snapshot.ts";
import { askLogin, type SendProbeDeps } from "./send-probe.ts";
import { createSharedFinding } from "./shared-finding.ts";

export interface LoginPages {
  /** Always true without pages. It waits for no page whose last answer is known, however old that is. */
  areUp(): Promise<boolean>;
  /** The same, from findings that hold. */
  areUpNow(): Promise<boolean>;
}

/** `now`: milliseconds, monotonic. */
export function createLoginPages({ probe }: Route, deps: SendProbeDeps, now: () => number): LoginPages {
  const pages = probe.loginHealth.map((page) => ({
    ask: askOf(page, deps),
    shared: createSharedFinding((finding) => holds(finding, probe), now),
  }));
  const allUp = async (findings: readonly Promise<Finding>[]): Promise<boolean> =>
    (await Promise.all(findings)).every(({ result }) => !confirms(result));
  if (pages.length === 0) return { areUp: () => UP, areUpNow: () => UP };
  return {
    areUp: () => allUp(pages.map(({ shared, ask }) => shared.getStale(ask))),
    areUpNow: () => allUp(pages.map(({ shared, ask }) => shared.get(ask))),
  };
}

const UP = Promise.resolve(true);

function askOf(page: LoginHealth, deps: SendProbeDeps): () => Promise<Finding> {
  return () => askLogin(page, deps);
}
