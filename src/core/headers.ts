/**
 * The header rules. The headers of a check reach the upstream in their order and spelling. These do not pass:
 * hop-by-hop headers (RFC 9110 section 7.6.1), names that a gateway could take for an alias of another
 * (CVE-2026-39858: `X_Forwarded_Host`), the length of a body that stays behind, and emergency credentials.
 */
import type { Forwarded, RawHeaders, UpstreamRequest } from "./types.ts";

/** Names that no gateway takes for an alias of another name. */
export const PLAIN_NAME = /^[A-Za-z0-9-]+$/;

/** Go's httputil.ReverseProxy removes the same ones. */
export const HOP_BY_HOP: ReadonlySet<string> = new Set([
  "connection",
  "keep-alive",
  "proxy-authenticate",
  "proxy-authorization",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
]);

export const FALLBACK_HEADER = "x-auth-fallback";

/** Every value of `name` (lower case), in order. */
export function headerValues(headers: RawHeaders, name: string): readonly string[] {
  const values: string[] = [];
  for (let i = 0; i + 1 < headers.length; i += 2) {
    if (isName(headers[i] ?? "", name)) values.push(headers[i + 1] ?? "");
  }
  return values;
}

/** The first value of `name` (lower case), or null. */
export function firstHeader(headers: RawHeaders, name: string): string | null {
  for (let i = 0; i + 1 < headers.length; i += 2) {
    if (isName(headers[i] ?? "", name)) return headers[i + 1] ?? null;
  }
  return null;
}

/** Most names differ in length. Latin1 text in lower case is as long as before. */
function isName(header: string, name: string): boolean {
  return header.length === name.length && header.toLowerCase() === name;
}

/** `headers` with those of `others` in place of the same names. */
export function overridden(headers: RawHeaders, others: RawHeaders): RawHeaders {
  const names = new Set(others.filter((_, index) => index % 2 === 0).map((name) => name.toLowerCase()));
  const kept = headers.flatMap((name, index) =>
    index % 2 === 0 && !names.has(name.toLowerCase()) ? [name, headers[index + 1] ?? ""] : [],
  );
  return [...kept, ...others];
}

/** A check as the upstream gets it. */
export function upstreamRequest({ check, staysHere, repeatable, trying }: Forwarded): UpstreamRequest {
  const { method, target, body } = check;
  const headers = headersForUpstream(check.headers, body !== null, staysHere);
  return { method, target, headers, body, repeatable, trying };
}

/**
 * The headers of a check as the upstream gets them. `carriesBody`: the body goes along, and so does its Content-Length.
 * `isEmergency` says whether a value of Authorization must stay here.
 */
export function headersForUpstream(
  headers: RawHeaders,
  carriesBody: boolean,
  isEmergency: (authorization: string) => boolean,
): RawHeaders {
  const listed = connectionNames(headers);
  return filterHeaders(headers, (name, value) => {
    if (!PLAIN_NAME.test(name) || HOP_BY_HOP.has(name)) return false;
    if (listed.has(name) && !isGatewayWord(name)) return false;
    // Node answers an Expect by itself, so no body waits for the upstream to say anything.
    if (name === "expect") return false;
    if (name === "content-length") return carriesBody;
    return name !== "authorization" || !isEmergency(value);
  });
}

/**
 * The Authorization lines of a check that may go on to the app. A gateway that is told to copy Authorization from
 * our answer drops the client's own. `isEmergency` says which values must stay here.
 */
export function authorizationForApp(
  headers: RawHeaders,
  isEmergency: (authorization: string) => boolean,
): RawHeaders {
  const listed = connectionNames(headers);
  if (listed.has("authorization")) return [];
  return filterHeaders(headers, (name, value) => name === "authorization" && !isEmergency(value));
}

/**
 * The headers of an answer as the gateway gets them. X-Auth-Fallback is ours alone. A 204 has no Content-Length
 * (RFC 9110 section 8.6), because a gateway could wait for bytes that never come.
 */
export function headersForGateway(headers: RawHeaders, status: number): RawHeaders {
  const listed = connectionNames(headers);
  return filterHeaders(headers, (name) => {
    if (HOP_BY_HOP.has(name) || listed.has(name) || name === FALLBACK_HEADER) return false;
    return status !== 204 || name !== "content-length";
  });
}

/** Whether no body follows such a status, whatever the headers announce (RFC 9110 sections 15.3.5 and 15.4.5). */
export function isBodiless(status: number): boolean {
  return status === 204 || status === 304;
}

/** `keep` gets names in lower case. */
export function filterHeaders(
  headers: RawHeaders,
  keep: (name: string, value: string) => boolean,
): RawHeaders {
  const kept: string[] = [];
  for (let i = 0; i + 1 < headers.length; i += 2) {
    const name = headers[i] ?? "";
    const value = headers[i + 1] ?? "";
    if (keep(name.toLowerCase(), value)) kept.push(name, value);
  }
  return kept;
}

/** The names that a Connection header makes hop-by-hop as well. */
function connectionNames(headers: RawHeaders): ReadonlySet<string> {
  const values = headerValues(headers, "connection");
  if (values.length === 0) return NO_NAMES;
  return new Set(
    values
      .join(",")
      .toLowerCase()
      .split(",")
      .map((name) => name.trim()),
  );
}

const GATEWAY_WORDS: ReadonlySet<string> = new Set(["host", "forwarded", "x-real-ip"]);
const NO_NAMES: ReadonlySet<string> = new Set();

/** A client must not remove these by listing them in Connection (CVE-2024-45410, Traefik). */
function isGatewayWord(name: string): boolean {
  return GATEWAY_WORDS.has(name) || name.startsWith("x-forwarded-") || name.startsWith("x-original-");
}
