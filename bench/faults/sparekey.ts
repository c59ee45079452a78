/** sparekey with one route for each mode. */
import type { WireMode } from "../../src/core/snapshot.ts";
import { type Serving, startServing } from "../serving.ts";
import { ADMIN } from "./answers.ts";
import { MODES, type Mode } from "./oracle.ts";
import type { Staged } from "./scenes.ts";

/** Shorter than the defaults, so that the whole matrix takes only minutes. */
export const SETTINGS = {
  timeouts: "{ connect: 300ms, read: 500ms, total: 800ms }",
  breaker: "{ failures: 5, interval: 200ms, maxInterval: 1s, successes: 2 }",
  minInterval: "200ms",
  headBytes: "16KiB",
} as const;
/** `timeouts.read`: as above, and as shipped. */
export const READ_MS = { short: 500, shipped: 5_000 } as const;
/** How long probe results hold: `probe.minInterval` if good, a second if bad. */
export const GOOD_HOLDS_MS = 200;
export const BAD_HOLDS_MS = 1_000;

/** Rejects when sparekey does not serve. It ends with this process at the latest. */
export function startSparekey(staged: Staged, wire: WireMode): Promise<Serving> {
  const ca = staged.ca === null ? {} : { "ca.pem": staged.ca };
  return startServing(configOf(staged, wire), { htpasswd: ADMIN.htpasswd, ...ca });
}

/** Each mode has a listener of its own, so that all of them have the path that the upstream knows. */
const LISTENS: Readonly<Record<Mode, string>> = {
  allow: "127.0.0.11:0",
  "basic-auth": "127.0.0.12:0",
  deny: "127.0.0.13:0",
  none: "127.0.0.14:0",
};

/** The URL of the check for each mode. */
export function urlsOf({ origins }: Serving, { path }: Staged): Readonly<Record<Mode, string>> {
  const urlOf = (mode: Mode): string => `${origins[MODES.indexOf(mode)]}${path}`;
  return {
    allow: urlOf("allow"),
    "basic-auth": urlOf("basic-auth"),
    deny: urlOf("deny"),
    none: urlOf("none"),
  };
}

function configOf({ upstream, ca, loginHealth, path, settings, timeouts }: Staged, wire: WireMode): string {
  const tls = ca === null ? "" : "\n    tls: { ca: ca.pem }";
  const login = loginHealth === null ? "" : `, loginHealth: "${loginHealth}"`;
  const short = timeouts === "short" ? `\n    timeouts: ${SETTINGS.timeouts}` : "";
  const more = settings.map((line) => `\n    ${line}`).join("");
  const routes = MODES.map((mode) => {
    // Other tests cover the limits of guessing. Here each wrong password must get its 401.
    const limit = "rateLimit: { failures: 100000, global: 100000 }";
    const login401 = mode === "basic-auth" ? `, htpasswd: htpasswd, ${limit}, ${IDENTITY}` : "";
    return `
  - name: ${mode}
    listen: ${LISTENS[mode]}
    path: ${path}
    upstream: "${upstream[mode]}"${tls}${short}${more}
    breaker: ${SETTINGS.breaker}
    probe: { minInterval: ${SETTINGS.minInterval}${login} }
    fallback: { mode: ${mode}${login401} }`;
  });
  return `wire: ${wire}
admin: { listen: "127.0.0.2:0" }
limits: { headBytes: ${SETTINGS.headBytes} }
routes:${routes.join("")}
`;
}

/** The same for all presets, so that the oracle knows one login alone. */
const IDENTITY =
  "usernameHeader: X-authentik-username, clearHeaders: [X-authentik-uid, X-authentik-email, X-authentik-name, X-authentik-groups]";
