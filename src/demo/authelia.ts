/**
 * A stand-in for Authelia's forward-auth endpoint. Its store is Redis: while that is dead, challenges and the health
 * page look as ever, and only the cookie is missing that a healthy challenge always sets.
 */
import { randomBytes } from "node:crypto";
import type { IncomingMessage } from "node:http";
import { cookieValue } from "./cookies.ts";
import { commonFaults, plainText, type StandIn, type StandInAnswer, startStandIn } from "./stand-in.ts";

interface AutheliaOptions {
  readonly port: number;
  /** The hosts, in lower case, that nobody may enter: 403 for people who are logged in. */
  readonly forbidden?: readonly string[];
  /** Milliseconds between two bytes of a dripped answer; 200 by default. */
  readonly dripMs?: number;
}

export type AutheliaState = "store-dead" | "store-hung";

export interface Authelia extends StandIn<AutheliaState> {
  /** The cookie of somebody who is logged in, as `NAME=VALUE`. */
  readonly session: string;
}

/** The headers of the answer to the check of a logged-in user. */
export const autheliaIdentity: readonly string[] = [
  ...["Remote-User", "demo", "Remote-Groups", "users,demo"],
  ...["Remote-Name", "Demo User", "Remote-Email", "demo@example.com"],
];

const sessionCookie = "authelia_session";
const states: Readonly<Record<AutheliaState, string>> = {
  "store-dead": "its session store is dead: everybody is sent to the login, and no cookie is set",
  "store-hung": "its session store hangs: no check is answered",
};
const checkPath = "/api/authz/forward-auth";
const healthPath = "/api/health";
const portal = "https://auth.example.com/";
/** fasthttp's buffer for a request head; a longer head gets a 431. */
const headBytes = 4096;

/** It answers on 127.0.0.1 until it is closed. */
export async function startAuthelia(options: AutheliaOptions): Promise<Authelia> {
  const session = randomBytes(16).toString("hex");
  const forbidden = new Set(options.forbidden);
  const standIn = await startStandIn<AutheliaState>({
    port: options.port,
    faults: commonFaults,
    ownFaults: states,
    protocol: "HTTP/1.1",
    dripMs: options.dripMs ?? 200,
    headBytes,
    answer: async (request, fault) => {
      const [path] = (request.url ?? "").split("?");
      if (path === healthPath) return json(200, '{"status":"OK"}');
      if (path !== checkPath) return plainText(404, "404 Not Found");
      const asked = askedOf(request);
      if (asked === null) return plainText(400, "400 Bad Request");
      if (fault === "store-hung") return null;
      const isMember = fault !== "store-dead" && cookieValue(request, sessionCookie) === session;
      if (!isMember) return challenge(request, asked, fault !== "store-dead");
      if (forbidden.has(asked.url.host)) return plainText(403, "403 Forbidden");
      return { status: 200, headers: autheliaIdentity, body: "" };
    },
  });
  return { ...standIn, session: `${sessionCookie}=${session}` };
}

interface Asked {
  readonly method: string;
  readonly url: URL;
}

/** null: Authelia answers 400, because the gateway does not say what is asked for. */
function askedOf({ headers }: IncomingMessage): Asked | null {
  const method = headers["x-forwarded-method"];
  const proto = headers["x-forwarded-proto"];
  const host = headers["x-forwarded-host"];
  const uri = headers["x-forwarded-uri"] ?? "/";
  if (!method || !proto || !host) return null;
  const url = URL.parse(`${proto}://${host}${uri}`);
  return url === null ? null : { method: String(method), url };
}

/** Browsers are led to the login: with a 303 where a form was sent, so that it is not sent to the login as well. */
function challenge(request: IncomingMessage, { method, url }: Asked, isSaved: boolean): StandInAnswer {
  const fresh = `${sessionCookie}=${randomBytes(16).toString("hex")}; Path=/; HttpOnly; Secure; SameSite=Lax`;
  const cookie = isSaved ? ["Set-Cookie", fresh] : [];
  if (!isBrowser(request)) return plainText(401, "401 Unauthorized", cookie);
  const status = ["GET", "HEAD", "OPTIONS"].includes(method) ? 302 : 303;
  const location = `${portal}?${new URLSearchParams({ rd: url.href, rm: method })}`;
  return { status, headers: ["Location", location, ...cookie], body: "" };
}

function isBrowser({ headers }: IncomingMessage): boolean {
  const accepted = (headers.accept ?? "").split(",").map((one) => one.split(";")[0]?.trim());
  const isScript = headers["x-requested-with"] === "XMLHttpRequest";
  return !isScript && (accepted.includes("text/html") || accepted.includes("*/*"));
}

function json(status: number, body: string): StandInAnswer {
  return { status, headers: ["Content-Type", "application/json; charset=utf-8"], body };
}
