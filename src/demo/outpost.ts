/**
 * A stand-in for an Authentik proxy outpost (Go, 2026.5). It answers Traefik's checks, and has a small login in place
 * of the core's. It knows its hosts: a check for another host gets a 400, and no redirect leaves them.
 */
import { randomBytes } from "node:crypto";
import type { IncomingMessage } from "node:http";
import { escapedHtml, htmlPage, pageHeaders } from "./html.ts";
import { createOutpostSessions, type OutpostSessions } from "./outpost-sessions.ts";
import { type FaultName, faults, type StandIn, type StandInAnswer, startStandIn } from "./stand-in.ts";

interface OutpostOptions {
  readonly port: number;
  /** The protected hosts in lower case, with a port unless it is the default of the scheme. */
  readonly hosts: readonly string[];
  /** Milliseconds between two bytes of a dripped answer; 200 by default. */
  readonly dripMs?: number;
}

export const outpostPrefix = "/outpost.goauthentik.io/";
const sessionCookie = "authentik_proxy_5ba4e1c2";
/** The one user there is. */
export const outpostUser = { name: "demo", password: "demo" } as const;

/** The headers of the answer to the check of a logged-in user. */
export const identityHeaders: readonly string[] = [
  "X-authentik-username",
  outpostUser.name,
  "X-authentik-groups",
  "users|demo",
  "X-authentik-entitlements",
  "read|write",
  "X-authentik-email",
  "demo@example.com",
  "X-authentik-name",
  "Demo User",
  "X-authentik-uid",
  "2a97516c354b68848cdbd8f54a226a0a55b21ed138e207ad6c5cbb9c00aa5aea",
  "X-authentik-jwt",
  standInToken(),
  "X-authentik-meta-jwks",
  "http://127.0.0.1/application/o/demo/jwks/",
  "X-authentik-meta-outpost",
  "demo outpost",
  "X-authentik-meta-provider",
  "demo provider",
  "X-authentik-meta-app",
  "demo",
  "X-authentik-meta-version",
  "goauthentik.io/outpost/2026.5.0",
];

const paths = {
  check: `${outpostPrefix}auth/traefik`,
  ping: `${outpostPrefix}ping`,
  start: `${outpostPrefix}start`,
  authorize: `${outpostPrefix}application/o/authorize/`,
  callback: `${outpostPrefix}callback`,
  signOut: `${outpostPrefix}sign_out`,
} as const;
const sessionSeconds = 24 * 60 * 60;
const formBytes = 8 * 1024;
const targetChars = 8 * 1024;

/** One request, with everything that the pages need from it. */
interface Visit {
  readonly request: IncomingMessage;
  /** `http://HOST` or `https://HOST` with one of the protected hosts. */
  readonly origin: string;
  readonly query: URLSearchParams;
  readonly cookie: string | null;
  readonly sessions: OutpostSessions;
  /** When the session store is full, every save fails, as on 2026-04-18. */
  readonly storeFull: boolean;
}

/** It answers on 127.0.0.1 until it is closed, and knows every fault. */
export function startOutpost(options: OutpostOptions): Promise<StandIn> {
  const hosts = new Set(options.hosts);
  const sessions = createOutpostSessions();
  return startStandIn({
    port: options.port,
    faults: Object.keys(faults) as FaultName[],
    protocol: "HTTP/1.1",
    dripMs: options.dripMs ?? 200,
    answer: async (request, fault) => {
      const [path = "", query = ""] = splitOnce(request.url ?? "", "?");
      if (path === paths.ping) return { status: 204, headers: [], body: "" };
      const host = forwarded(request, "host") ?? request.headers.host ?? "";
      if (!hosts.has(host.toLowerCase())) return unknownHost(host);
      const proto = forwarded(request, "proto") ?? "http";
      if (proto !== "http" && proto !== "https") return configurationError();
      return page(path, {
        request,
        origin: `${proto}://${host.toLowerCase()}`,
        query: new URLSearchParams(query),
        cookie: cookieOf(request),
        sessions,
        storeFull: fault === "bare-400",
      });
    },
  });
}

async function page(path: string, visit: Visit): Promise<StandInAnswer> {
  switch (path) {
    case paths.check:
      return check(visit);
    case paths.start:
      return beginLogin(visit, targetOnSite(visit, visit.query.get("rd") ?? "/"));
    case paths.authorize:
      return visit.request.method === "POST" ? authorize(visit) : loginForm(visit, 200, "");
    case paths.callback:
      return finishLogin(visit);
    case paths.signOut:
      visit.sessions.signOut(visit.cookie);
      return redirect(302, `${visit.origin}/`);
    default:
      return message(404, "Not found", "The outpost has no such page.");
  }
}

function check(visit: Visit): StandInAnswer {
  const target = forwardedTarget(visit);
  if (target === null) return configurationError();
  if (visit.sessions.signedIn(visit.cookie)) return { status: 200, headers: identityHeaders, body: "" };
  return beginLogin(visit, target);
}

/** Returns the URL that the client asked for; null when Go's url.Parse would refuse X-Forwarded-Uri. */
function forwardedTarget(visit: Visit): string | null {
  const uri = forwarded(visit.request, "uri") ?? "/";
  const [path = ""] = splitOnce(uri, "?");
  // Without its "/" it could turn the host in front of it into a user name: http://ours@theirs/.
  if (!uri.startsWith("/") || /%(?![0-9a-f]{2})/i.test(path) || uri.length > targetChars) return null;
  return new URL(visit.origin + uri).href;
}

/** Returns `url` when it is on the host of this visit, and else the first page of that host. */
function targetOnSite({ origin }: Visit, url: string): string {
  const target = URL.parse(url, origin);
  const ours = target !== null && target.origin === origin && target.href.length <= targetChars;
  return ours ? `${origin}${target.pathname}${target.search}` : `${origin}/`;
}

function beginLogin({ origin, cookie, sessions, storeFull }: Visit, target: string): StandInAnswer {
  if (storeFull) return bare400();
  const { state, session } = sessions.begin(cookie, target);
  const query = new URLSearchParams({
    client_id: "demo",
    redirect_uri: `${origin}${paths.callback}?X-authentik-auth-callback=true`,
    response_type: "code",
    scope: "openid email profile ak_proxy",
    state,
  });
  return redirect(302, `${origin}${paths.authorize}?${query}`, session);
}

function loginForm({ query, sessions }: Visit, status: number, problem: string): StandInAnswer {
  const state = query.get("state") ?? "";
  if (sessions.attempt(state) === null) return expired();
  const body = `<p>This stands in for the login page of Authentik. The user is <b>${outpostUser.name}</b>,
the password <b>${outpostUser.password}</b>.</p>
<p role="alert">${escapedHtml(problem)}</p>
<form method="post" action="?state=${encodeURIComponent(state)}">
<p><label>User<br><input name="user" autocomplete="username" required autofocus></label></p>
<p><label>Password<br><input name="password" type="password" autocomplete="current-password" required></label></p>
<p><button>Log in</button></p>
</form>`;
  return { status, headers: pageHeaders, body: htmlPage("Stand-in login", body) };
}

async function authorize(visit: Visit): Promise<StandInAnswer> {
  const form = await readForm(visit.request);
  if (form === null) return message(413, "Too large", `A login has at most ${formBytes} bytes.`);
  const right = form.get("user") === outpostUser.name && form.get("password") === outpostUser.password;
  if (!right) return loginForm(visit, 403, "User or password is wrong.");
  const state = visit.query.get("state") ?? "";
  const code = visit.sessions.grant(state);
  if (code === null) return expired();
  return redirect(303, `${visit.origin}${paths.callback}?${new URLSearchParams({ code, state })}`);
}

function finishLogin({ query, cookie, sessions, storeFull }: Visit): StandInAnswer {
  if (storeFull) return bare400();
  const done = sessions.finish(query.get("state") ?? "", query.get("code") ?? "", cookie);
  return done === null ? expired() : redirect(302, done.target, done.session);
}

function redirect(status: 302 | 303, location: string, session: string | null = null): StandInAnswer {
  const cookie = `${sessionCookie}=${session}; Path=/; Max-Age=${sessionSeconds}; HttpOnly; SameSite=Lax`;
  const headers = ["Location", location, ...(session === null ? [] : ["Set-Cookie", cookie])];
  return { status, headers, body: "" };
}

function unknownHost(host: string): StandInAnswer {
  const body = {
    Message: "no app for hostname",
    Host: host,
    Detail: `Check the outpost settings and make sure '${host}' is included.`,
  };
  return { status: 400, headers: ["Content-Type", "application/json"], body: JSON.stringify(body) };
}

function configurationError(): StandInAnswer {
  return {
    status: 500,
    headers: ["Content-Type", "text/plain; charset=utf-8"],
    body: "configuration error\n",
  };
}

function bare400(): StandInAnswer {
  return { status: 400, headers: [], body: "" };
}

function expired(): StandInAnswer {
  return message(
    400,
    "Login expired",
    `This login is unknown or over. <a href="${paths.start}">Begin again</a>.`,
  );
}

function message(status: number, title: string, markup: string): StandInAnswer {
  return { status, headers: pageHeaders, body: htmlPage(title, `<p>${markup}</p>`) };
}

function forwarded(request: IncomingMessage, name: "host" | "proto" | "uri"): string | undefined {
  const value = request.headers[`x-forwarded-${name}`];
  return typeof value === "string" ? value : undefined;
}

function cookieOf(request: IncomingMessage): string | null {
  const pairs = (request.headers.cookie ?? "").split(";").map((pair) => splitOnce(pair.trim(), "="));
  return pairs.find(([name]) => name === sessionCookie)?.[1] ?? null;
}

/** Resolves to null when the form is longer than `formBytes`. Rejects when the client left. */
async function readForm(request: IncomingMessage): Promise<URLSearchParams | null> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of request.iterator({ destroyOnReturn: false })) {
    length += chunk.length;
    if (length > formBytes) {
      request.resume();
      return null;
    }
    chunks.push(chunk);
  }
  return new URLSearchParams(Buffer.concat(chunks).toString());
}

function splitOnce(text: string, separator: string): string[] {
  const at = text.indexOf(separator);
  return at < 0 ? [text] : [text.slice(0, at), text.slice(at + 1)];
}

/** It looks like the core's token, and nothing can be checked with it. */
function standInToken(): string {
  const part = (claims: object) => Buffer.from(JSON.stringify(claims)).toString("base64url");
  const claims = { iss: "sparekey demo", sub: outpostUser.name };
  return `${part({ alg: "HS256", typ: "JWT" })}.${part(claims)}.${randomBytes(32).toString("base64url")}`;
}
