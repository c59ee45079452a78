/** sparekey with one route for each mode. */
import type { WireMode } from "../../src/core/snapshot.ts";
import { type Serving, startServing } from "../serving.ts";
import { ADMIN } from "./answers.ts";
import { MODES } from "./oracle.ts";
import type { Staged } from "./scenes.ts";

/** Shorter than the defaults, so that the whole matrix takes only minutes. */
export const SETTINGS = {
  timeouts: "{ connect: 300ms, read: 500ms, total: 800ms }",
  breaker: "{ failures: 5, interval: 200ms, maxInterval: 1s, successes: 2 }",
  minInterval: "200ms",
  headBytes: "16KiB",
} as const;
/** How long probe results hold: `probe.minInterval` if good, a second if bad. */
export const GOOD_HOLDS_MS = 200;
export const BAD_HOLDS_MS = 1_000;

/** Rejects when sparekey does not serve. It ends with this process at the latest. */
export function startSparekey(staged: Staged, wire: WireMode): Promise<Serving> {
  const ca = staged.ca === null ? {} : { "ca.pem": staged.ca };
  return startServing(configOf(staged, wire), { htpasswd: ADMIN.htpasswd, ...ca });
}

function configOf({ upstream, ca, loginHealth }: Staged, wire: WireMode): string {
  const tls = ca === null ? "" : "\n    tls: { ca: ca.pem }";
  const login = loginHealth === null ? "" : `, loginHealth: "${loginHealth}"`;
  const routes = MODES.map((mode) => {
    // Other tests cover the limits of guessing. Here each wrong password must get its 401.
    const limit = "rateLimit: { failures: 100000, global: 100000 }";
    const more = mode === "basic-auth" ? `, htpasswd: htpasswd, ${limit}` : "";
    return `
  - name: ${mode}
    path: /${mode}
    upstream: "${upstream}"${tls}
    timeouts: ${SETTINGS.timeouts}
    breaker: ${SETTINGS.breaker}
    probe: { minInterval: ${SETTINGS.minInterval}${login} }
    fallback: { mode: ${mode}${more} }`;
  });
  return `listen: "127.0.0.1:0"
wire: ${wire}
admin: { listen: "127.0.0.2:0" }
limits: { headBytes: ${SETTINGS.headBytes} }
routes:${routes.join("")}
`;
}
