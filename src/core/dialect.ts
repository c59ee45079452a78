/**
 * In which headers a gateway says whom a check is about, and what a probe says in its place. A route knows its gateway,
 * and the words of other gateways are never read: they are what a client sent.
 *
 *    gateway           client's host       client's URI         source
 *  traefik, haproxy    X-Forwarded-Host    X-Forwarded-Uri      pkg/middlewares/auth/forward.go; haproxy-auth-request
 *  caddy               X-Forwarded-Host    X-Forwarded-Uri      modules/caddyhttp/reverseproxy/forwardauth
 *  nginx               X-Original-URL      X-Original-URL       ngx_http_auth_request_module, ingress-nginx
 *  envoy               Host                the check's own      envoy.filters.http.ext_authz
 */
import { firstHeader, headerValues } from "./headers.ts";
import type { Gateway, PathRule } from "./snapshot.ts";
import type { Check, RawHeaders } from "./types.ts";

/** What a probe repeats of a check that taught it. Nothing else of a check is ever repeated. */
export interface ProbeSubject {
  /** The client's host; null: it is not known, so a probe names none. */
  readonly host: string | null;
  /** Host as the gateway sends it to the auth server; null: the upstream's own. */
  readonly authority: string | null;
  readonly proto: "http" | "https";
}

/** A host that cannot be taken for anything else, with or without a port. */
const PLAIN_HOST = /^[a-z0-9.-]{1,253}(?::[0-9]{1,5})?$/i;
const METHOD_NAMES = ["x-forwarded-method", "x-original-method"] as const;
const TEACHING_METHODS: ReadonlySet<string> = new Set(["GET", "HEAD"]);
/** A documentation address (RFC 5737): some servers refuse a check that names no client. */
const PROBE_ADDRESS = "192.0.2.1";

/** The client's host in lower case; null: the check names none, several, or an odd one. */
export function clientHost(check: Check, gateway: Gateway): string | null {
  const [host, ...more] = namedHosts(check, gateway);
  if (host === undefined || more.length > 0 || !PLAIN_HOST.test(host)) return null;
  return host.toLowerCase();
}

function namedHosts({ headers }: Check, gateway: Gateway): readonly string[] {
  switch (gateway) {
    case "traefik":
    case "caddy":
    case "haproxy":
      return headerValues(headers, "x-forwarded-host");
    case "nginx":
      return headerValues(headers, "x-original-url").map(
        (url) => /^https?:\/\/([^/?#\\]*)/i.exec(url)?.[1] ?? "",
      );
    case "envoy":
      return headerValues(headers, "host");
  }
}

/** The client's path and query; null: the check names none, or several. */
export function clientUri({ headers, target }: Check, gateway: Gateway): string | null {
  if (gateway === "envoy") return target;
  const name = gateway === "nginx" ? "x-original-url" : "x-forwarded-uri";
  const [uri, ...more] = headerValues(headers, name);
  if (uri === undefined || more.length > 0) return null;
  return gateway === "nginx" ? uri.replace(/^https?:\/\/[^/?#\\]*/i, "") : uri;
}

/**
 * Whether a check may teach a probe. Servers let a preflight or an odd method pass without a look at sessions, so what
 * they answer to these says nothing. A method counts wherever it stands, because it can only keep a check from teaching.
 */
export function mayTeach({ method, headers }: Check): boolean {
  if (!TEACHING_METHODS.has(method)) return false;
  if (firstHeader(headers, "access-control-request-method") !== null) return false;
  return METHOD_NAMES.every((name) => headerValues(headers, name).every((one) => TEACHING_METHODS.has(one)));
}

/** What a probe for the host of a check would say. */
export function subjectOf(check: Check, gateway: Gateway): ProbeSubject {
  const { headers } = check;
  const authority = firstHeader(headers, "host");
  const host = clientHost(check, gateway);
  return {
    host,
    authority: authority !== null && PLAIN_HOST.test(authority) ? authority : null,
    proto: host === null ? "https" : protoOf(check, gateway),
  };
}

function protoOf({ headers }: Check, gateway: Gateway): "http" | "https" {
  const url = gateway === "nginx" ? firstHeader(headers, "x-original-url") : null;
  const proto = url === null ? firstHeader(headers, "x-forwarded-proto") : url.split(":", 1)[0];
  return proto?.toLowerCase() === "http" ? "http" : "https";
}

/** For a host that the config names. Its Host is the client's too, because some upstreams go by that one. */
export function configuredSubject(name: string): ProbeSubject {
  // In lower case, because the hosts of checks that are compared with it are.
  const host = name.toLowerCase();
  return { host, authority: host, proto: "https" };
}

/** For a probe when nothing is known of any client. */
export const NOBODY: ProbeSubject = { host: null, authority: null, proto: "https" };

/** The headers of a probe that says `uri` of the client of `subject`. */
export function probeHeaders(
  gateway: Gateway,
  { host, authority, proto }: ProbeSubject,
  uri: string,
): RawHeaders {
  const hostLine = gateway === "envoy" ? (host ?? authority) : authority;
  const about = hostLine === null ? [] : ["Host", hostLine];
  const client = ["X-Forwarded-Proto", proto, "X-Forwarded-For", PROBE_ADDRESS, "X-Real-IP", PROBE_ADDRESS];
  switch (gateway) {
    case "traefik":
    case "caddy":
    case "haproxy": {
      const named = host === null ? [] : ["X-Forwarded-Host", host];
      return [...about, ...named, "X-Forwarded-Method", "GET", "X-Forwarded-Uri", uri, ...client];
    }
    case "nginx": {
      const named = host ?? authority;
      const url = named === null ? [] : ["X-Original-URL", `${proto}://${named}${uri}`];
      return [...about, ...url, "X-Original-Method", "GET", ...client];
    }
    case "envoy":
      return [...about, ...client];
  }
}

/** The path that a probe asks: Envoy alone appends the client's to the prefix of the route. */
export function probeTarget(gateway: Gateway, path: PathRule, uri: string): string {
  if (path.kind === "exact") return path.path;
  return gateway === "envoy" ? `${path.prefix}${uri.slice(1)}` : path.prefix;
}

const EXPECTED_TIMEOUT = "x-envoy-expected-rq-timeout-ms";
const SHORTEST_PATIENCE_MS = 100;

/** For how many milliseconds the gateway waits for the reply; null: it does not say. */
export function patienceOf({ headers }: Check, gateway: Gateway): number | null {
  if (gateway !== "envoy") return null;
  const text = firstHeader(headers, EXPECTED_TIMEOUT);
  if (text === null || !/^[0-9]{1,7}$/.test(text)) return null;
  return Math.max(Number(text), SHORTEST_PATIENCE_MS);
}
