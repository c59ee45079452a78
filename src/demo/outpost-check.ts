/**
 * What the stand-in outpost answers to a check, by version and state. The order is the outpost's own: the URL, the
 * session, the Authorization header, the end of a login, and at last the login that begins.
 */
import { bare, configurationError, setCookie, unauthorized } from "./outpost-answers.ts";
import { identityHeaders, outpostToken, outpostUser } from "./outpost-identity.ts";
import { beginLogin, loginWithoutSession, targetChars } from "./outpost-login.ts";
import type { OutpostVersion } from "./outpost-versions.ts";
import { isStoreBroken, outpostPaths, splitOnce, type Visit } from "./outpost-visit.ts";
import type { StandInAnswer } from "./stand-in.ts";

const envoyPath = `${outpostPaths.check}envoy`;
const nginxPath = `${outpostPaths.check}nginx`;
const traefikPaths: readonly string[] = [`${outpostPaths.check}traefik`, `${outpostPaths.check}caddy`];

export function isCheck(path: string): boolean {
  return traefikPaths.includes(path) || path === nginxPath || isEnvoy(path);
}

function isEnvoy(path: string): boolean {
  return path === envoyPath || path.startsWith(`${envoyPath}/`);
}

/** null: no answer ever comes. */
export function check(visit: Visit): StandInAnswer | null {
  const target = askedUrl(visit);
  if (target === null) return configurationError();
  if (hasSession(visit)) return { status: 200, headers: identityHeaders, body: "" };
  const shown = shownCredentials(visit);
  // The core says whose credentials they are, so that a core that hangs takes the check with it.
  if (shown !== "none" && visit.fault === "core-hangs") return null;
  if (endsLogin(visit, target)) return bare(400);
  if (visit.fault === "logins-hang") return null;
  if (shown === "right" && visit.fault !== "core-down") return checkOfCredentials(visit, target);
  return challenge(visit, target);
}

/** Returns the URL that the client asked for; null where the outpost can make none of what the gateway says. */
function askedUrl(visit: Visit): URL | null {
  if (visit.path === nginxPath) return nginxUrl(visit);
  if (isEnvoy(visit.path)) return URL.parse(visit.origin + (visit.path.slice(envoyPath.length) || "/"));
  const { forwarded, version } = visit;
  const uri = forwarded.uri ?? "/";
  // Without its "/" it could turn the host in front of it into a user name: http://ours@theirs/.
  if (!uri.startsWith("/") || uri.length > targetChars) return null;
  if (version === "2026.8") return URL.parse(visit.origin + uri);
  if (forwarded.proto === undefined || forwarded.host === undefined || isBadEscape(uri)) return null;
  return URL.parse(visit.origin + uri);
}

function nginxUrl({ request }: Visit): URL | null {
  const url = request.headers["x-original-url"];
  return typeof url === "string" && !isBadEscape(url) ? URL.parse(url) : null;
}

/** Go's url.Parse takes no bad escape in a path. */
function isBadEscape(uri: string): boolean {
  const [path = ""] = splitOnce(uri, "?");
  return /%(?![0-9a-f]{2})/i.test(path);
}

function hasSession({ fault, sessions, cookie }: Visit): boolean {
  return fault !== "store-unreadable" && sessions.signedIn(cookie);
}

/** Any client can write this into a URL, and the outpost looks for a login that is not there. */
function endsLogin({ query }: Visit, target: URL): boolean {
  const name = "X-authentik-auth-callback";
  return target.searchParams.get(name) === "true" || query.get(name) === "true";
}

function shownCredentials({ request }: Visit): "none" | "right" | "wrong" {
  const [scheme = "", value = ""] = splitOnce(request.headers.authorization ?? "", " ");
  const right = { basic: basicPair, bearer: outpostToken }[scheme.toLowerCase()];
  if (right === undefined) return "none";
  return value.trim() === right ? "right" : "wrong";
}

const basicPair = Buffer.from(`${outpostUser.name}:${outpostUser.password}`).toString("base64");

/** The outpost begins a session for them, which is saved like any other. */
function checkOfCredentials(visit: Visit, target: URL): StandInAnswer {
  if (!isStoreBroken(visit)) {
    const cookie = setCookie({ set: visit.sessions.signIn() });
    return { status: 200, headers: [...identityHeaders, ...cookie], body: "" };
  }
  switch (visit.version) {
    case "2026.8":
      return { status: 200, headers: identityHeaders, body: "" };
    case "2026.2":
      if (visit.path === nginxPath) return unauthorized("keep");
      return loginWithoutSession(visit, target.href, "keep");
    case "2025.6":
    case "2025.10":
    case "embedded":
      return challenge(visit, target);
  }
}

function challenge(visit: Visit, target: URL): StandInAnswer {
  if (visit.path === nginxPath) return nginxChallenge(visit, target);
  if (isStoreBroken(visit)) return withBrokenStore[visit.version](visit, target.href);
  // CVE-2026-25748: a cookie that names no session passes.
  if (visit.version === "2025.10" && isStrayCookie(visit)) return bare(200);
  return beginLogin(visit, target.href);
}

/** nginx gets its 401 whether a session was saved or not. */
function nginxChallenge(visit: Visit, target: URL): StandInAnswer {
  if (isStoreBroken(visit) && visit.version !== "2026.8") return unauthorized("keep");
  const { session } = visit.sessions.begin(visit.cookie, target.href);
  if (!isStoreBroken(visit)) visit.sessions.save(session);
  return unauthorized({ set: session });
}

/** Without a session, and while none can be saved. */
const withBrokenStore: Readonly<Record<OutpostVersion, (visit: Visit, target: string) => StandInAnswer>> = {
  "2025.6": (visit, target) => {
    visit.sessions.leaveEmptyFile();
    return loginWithoutSession(visit, target, "keep");
  },
  "2025.10": (visit) => {
    visit.sessions.leaveEmptyFile();
    return bare(200);
  },
  "2026.2": (visit, target) => {
    if (isStrayCookie(visit)) return loginWithoutSession(visit, target, "delete");
    visit.sessions.leaveEmptyFile();
    return bare(400);
  },
  embedded: (visit, target) =>
    visit.sessions.signedIn(visit.cookie) ? loginWithoutSession(visit, target, "keep") : bare(400),
  "2026.8": beginLogin,
};

/** A cookie of a session that is gone, or one that never was a session. */
function isStrayCookie({ cookie, sessions }: Visit): boolean {
  return cookie !== null && !sessions.isSaved(cookie);
}
