/**
 * The replies that we write ourselves. Fallback replies name their kind in X-Auth-Fallback, and none of our replies may
 * be stored. Nothing of a check goes into them, so nothing can be reflected.
 */
import { headersForGateway, isBodiless } from "./headers.ts";
import { DOWN_PAGE, LOGIN_PAGE, limitedPage } from "./pages.ts";
import type { BasicAuthFallback, DenyFallback } from "./snapshot.ts";
import type { Answer, Body, RawHeaders, Reply } from "./types.ts";

const NO_STORE = ["Cache-Control", "no-store"] as const;
const NO_BODY = { kind: "whole", bytes: new Uint8Array() } as const;
/** Long enough to spare a broken upstream, short enough for a person who waits. */
const RETRY_AFTER_SECONDS = "10";

/**
 * The upstream's own answer without its hop-by-hop headers, and with `added` behind them. It is a class, because
 * headers that are never read must cost nothing: the fast path passes them on as bytes.
 */
export class Relayed implements Reply {
  readonly answer: Answer;
  readonly added: RawHeaders;
  readonly status: number;
  readonly body: Body;

  constructor(answer: Answer, added: RawHeaders) {
    this.answer = answer;
    this.added = added;
    this.status = answer.status;
    this.body = answer.body;
  }

  get statusText(): string {
    return this.answer.statusText;
  }

  get headers(): RawHeaders {
    return [...headersForGateway(this.answer.headers, this.status), ...this.added];
  }
}

export function relayed(answer: Answer, added: RawHeaders = []): Relayed {
  return new Relayed(answer, added);
}

export function allowed(): Reply {
  return pass("allow", []);
}

/** An emergency login: the user name, and every other identity header emptied, so that none from a client survives. */
export function loggedIn(user: string, fallback: BasicAuthFallback): Reply {
  const cleared = fallback.clearHeaders.flatMap((name) => [name, ""]);
  return pass("basic-auth", [fallback.usernameHeader, latin1OfUtf8(user), ...cleared]);
}

/** `identity` holds headers of an earlier 200 of the upstream. */
export function graced(identity: RawHeaders): Reply {
  return pass("grace", identity);
}

function pass(kind: "allow" | "basic-auth" | "grace", headers: RawHeaders): Reply {
  return {
    status: 200,
    statusText: "OK",
    headers: ["X-Auth-Fallback", kind, ...NO_STORE, ...headers],
    body: NO_BODY,
  };
}

/** `withBox`: the browser asks for a password. A background request must not cause that. */
export function challenged({ realm, page: own }: BasicAuthFallback, withBox: boolean): Reply {
  const box = withBox ? ["WWW-Authenticate", basicFor(realm)] : [];
  return page(401, "Unauthorized", ["X-Auth-Fallback", "basic-auth", ...box], own ?? LOGIN_PAGE);
}

let lastRealm: string | null = null;
let lastBasic = "";

/** In an outage it is the same for many checks in a row. */
function basicFor(realm: string): string {
  if (realm !== lastRealm) {
    lastRealm = realm;
    lastBasic = `Basic realm="${quoted(latin1OfUtf8(realm))}", charset="UTF-8"`;
  }
  return lastBasic;
}

export function limited(retryAfterSeconds: number): Reply {
  const headers = ["X-Auth-Fallback", "basic-auth", "Retry-After", String(retryAfterSeconds)];
  return page(429, "Too Many Requests", headers, limitedPage(retryAfterSeconds));
}

/** The emergency login is closed to this client, or there is no password to compare with. */
export function loginUnavailable({ page: own }: BasicAuthFallback): Reply {
  const headers = ["X-Auth-Fallback", "basic-auth", "Retry-After", RETRY_AFTER_SECONDS];
  return page(503, "Service Unavailable", headers, own ?? DOWN_PAGE);
}

export function denied({ page: own }: DenyFallback): Reply {
  const headers = ["X-Auth-Fallback", "deny", "Retry-After", RETRY_AFTER_SECONDS];
  return page(503, "Service Unavailable", headers, own ?? DOWN_PAGE);
}

/** A plain proxy error. No policy was applied, so there is no X-Auth-Fallback. */
export function proxyError(status: 502 | 504): Reply {
  const statusText = status === 502 ? "Bad Gateway" : "Gateway Timeout";
  return text(status, statusText, [], `${statusText}\n`);
}

/** Our own limits are reached. That is no fallback, because a flood must not open the door. */
export function shedReply(): Reply {
  return text(503, "Service Unavailable", ["Retry-After", "1"], "Too many checks at once\n");
}

/** Whether a whole body goes out with a Content-Length of ours. `hasLength`: there is one among the reply's headers. */
export function needsLength(status: number, hasLength: boolean, isHead: boolean, bodyBytes: number): boolean {
  // An upstream's answer to HEAD may leave its length open, and 0 would be a claim.
  const isOpen = isHead && bodyBytes === 0;
  return !hasLength && !isBodiless(status) && !isOpen;
}

export function badCheck(): Reply {
  return text(400, "Bad Request", [], "Bad Request\n");
}

/** The upstream allowed the check without naming a user. */
export function forbidden(): Reply {
  return text(403, "Forbidden", [], "Forbidden\n");
}

export function tooManyHeaders(): Reply {
  return text(431, "Request Header Fields Too Large", [], "Request Header Fields Too Large\n");
}

export function noRoute(): Reply {
  return text(404, "Not Found", [], "Not Found\n");
}

/** The answer to /healthz. */
export function healthy(): Reply {
  return text(200, "OK", [], "ok\n");
}

/** A defect of ours. It never lets a check pass. */
export function internalError(): Reply {
  return text(500, "Internal Server Error", [], "Internal Server Error\n");
}

function page(status: number, statusText: string, headers: readonly string[], html: Uint8Array): Reply {
  return withBody(status, statusText, headers, "text/html; charset=utf-8", html);
}

function text(status: number, statusText: string, headers: readonly string[], words: string): Reply {
  return withBody(status, statusText, headers, "text/plain; charset=utf-8", UTF8.encode(words));
}

function withBody(
  status: number,
  statusText: string,
  headers: readonly string[],
  type: string,
  bytes: Uint8Array,
): Reply {
  return {
    status,
    statusText,
    headers: [...headers, "Content-Type", type, ...NO_STORE],
    body: { kind: "whole", bytes },
  };
}

const UTF8 = new TextEncoder();
const ASCII = /^[\x20-\x7e]*$/;

/** Header text is latin1, so a name or realm beyond ASCII travels as its UTF-8 bytes. */
function latin1OfUtf8(value: string): string {
  if (ASCII.test(value)) return value;
  return String.fromCharCode(...UTF8.encode(value));
}

/** Escapes as RFC 9110 section 5.6.4 has it. */
function quoted(value: string): string {
  return value.replace(/["\\]/g, "\\$&");
}
