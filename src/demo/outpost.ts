/**
 * A stand-in for an Authentik proxy outpost, in several versions, since each fails in its own way. It answers the
 * checks of all gateways, and has a small login in place of the core's. It knows its hosts: a check for another host
 * gets a 400, and no redirect leaves them.
 */
import type { IncomingMessage } from "node:http";
import { cookieValue } from "./cookies.ts";
import {
  bare,
  compressed,
  configurationError,
  coreNotFound,
  message,
  noApp,
  redirect,
} from "./outpost-answers.ts";
import { check, isCheck } from "./outpost-check.ts";
import { authorizePage, coreDown, finishLogin, startPage } from "./outpost-login.ts";
import { createOutpostSessions, type OutpostSessions } from "./outpost-sessions.ts";
import { type OutpostState, type OutpostVersion, outpostStates } from "./outpost-versions.ts";
import { forwardedOf, outpostPaths, sessionCookie, splitOnce, trustOf, type Visit } from "./outpost-visit.ts";
import {
  type FaultName,
  faults,
  plainText,
  type StandIn,
  type StandInAnswer,
  startStandIn,
} from "./stand-in.ts";

interface OutpostOptions {
  readonly port: number;
  /** The protected hosts in lower case, with a port unless it is the default of the scheme. */
  readonly hosts: readonly string[];
  /** "2026.2" by default. */
  readonly version?: OutpostVersion;
  /** It has one app, and a standalone Go outpost then answers for that app whatever the host; false by default. */
  readonly singleApp?: boolean;
  /** Whose X-Forwarded-* count from 2026.8 on, as CIDRs; this machine by default. Older versions believe everybody. */
  readonly trustedProxies?: readonly string[];
  /** Milliseconds between two bytes of a dripped answer; 200 by default. */
  readonly dripMs?: number;
}

export interface Outpost extends StandIn<OutpostState> {
  readonly version: OutpostVersion;
  /** How many session files (rows, where embedded) it has written. Each check without a session writes one. */
  files(): number;
}

const loopback = ["127.0.0.0/8", "::1/128"];
const healthPaths = { live: "/-/health/live/", ready: "/-/health/ready/" } as const;

/** It answers on 127.0.0.1 until it is closed. It knows every fault, and the states of its version. */
export async function startOutpost(options: OutpostOptions): Promise<Outpost> {
  const version = options.version ?? "2026.2";
  const sessions = createOutpostSessions();
  const answer = outpostAnswers(options, version, sessions);
  const standIn = await startStandIn<OutpostState>({
    port: options.port,
    faults: Object.keys(faults) as FaultName[],
    ownFaults: outpostStates[version],
    protocol: "HTTP/1.1",
    dripMs: options.dripMs ?? 200,
    answer: async (request, fault) => {
      const plain = await answer(request, fault);
      return plain === null || version !== "embedded" ? plain : compressed(request, plain);
    },
  });
  return { ...standIn, version, files: sessions.files };
}

type Answers = (request: IncomingMessage, fault: FaultName | OutpostState) => Promise<StandInAnswer | null>;

function outpostAnswers(
  options: OutpostOptions,
  version: OutpostVersion,
  sessions: OutpostSessions,
): Answers {
  const knownHost = hostsOf(options, version);
  const isTrusted = trustOf(options.trustedProxies ?? loopback);

  function visitOf(request: IncomingMessage, fault: FaultName | OutpostState): Visit {
    const [path = "", query = ""] = splitOnce(request.url ?? "", "?");
    const forwarded = forwardedOf(request, version !== "2026.8" || isTrusted(request));
    const asked = forwarded.host ?? request.headers.host ?? "";
    const host = knownHost(asked.toLowerCase());
    return {
      ...{ request, version, fault, path, sessions, forwarded, asked, host },
      query: new URLSearchParams(query),
      origin: `${forwarded.proto ?? "http"}://${host}`,
      cookie: cookieValue(request, sessionCookie),
    };
  }

  return async (request, fault) => {
    const visit = visitOf(request, fault);
    if (visit.path === outpostPaths.ping) return bare(204);
    if (visit.path === healthPaths.live || visit.path === healthPaths.ready) return coreHealth(visit);
    // Everything else looks into the database, before it looks at anything else.
    if (fault === "database-hangs") return null;
    if (fault === "no-providers" || visit.host === null) return noSuchApp(visit);
    return /^https?:/.test(visit.origin) ? page(visit) : configurationError();
  };
}

function noSuchApp({ version, asked }: Visit): StandInAnswer {
  return version === "embedded" ? coreNotFound() : noApp(asked);
}

/** Returns the host of the app that a check for `host` is about; null where there is none. */
function hostsOf(options: OutpostOptions, version: OutpostVersion): (host: string) => string | null {
  const hosts = new Set(options.hosts);
  const [firstHost = ""] = options.hosts;
  const takesAnyHost = options.singleApp === true && version !== "embedded" && version !== "2026.8";
  return (host) => {
    if (hosts.has(host)) return host;
    return takesAnyHost ? firstHost : null;
  };
}

/** Only `ready` tells of a core that is down: the outpost's own answers do not. */
function coreHealth(visit: Visit): StandInAnswer | null {
  if (visit.fault === "core-hangs") return null;
  if (visit.fault === "core-down") return coreDown(visit);
  if (
    visit.path === healthPaths.ready &&
    visit.fault === "store-unreadable" &&
    visit.version === "embedded"
  ) {
    return plainText(503, "Service Unavailable\n");
  }
  return bare(200);
}

async function page(visit: Visit): Promise<StandInAnswer | null> {
  if (isCheck(visit.path)) return check(visit);
  switch (visit.path) {
    case outpostPaths.start:
      return startPage(visit);
    case outpostPaths.authorize:
      return authorizePage(visit);
    case outpostPaths.callback:
      return finishLogin(visit);
    case outpostPaths.signOut:
      visit.sessions.signOut(visit.cookie);
      return redirect(302, `${visit.origin}/`);
    default:
      return message(404, "Not found", "The outpost has no such page.");
  }
}
