/** Good checks, routes and answers. A test passes what must differ. */
import { BlockList } from "node:net";
import { firstHeader } from "../../src/core/headers.ts";
import type {
  AddressList,
  BasicAuthFallback,
  BreakerRules,
  DenyFallback,
  FaultRules,
  ProbeRules,
  Route,
} from "../../src/core/snapshot.ts";
import type { Answer, Body, Check, RawHeaders, Reply, Trying } from "../../src/core/types.ts";
import { upstreamAt } from "./raw-upstream.ts";

export function check(changes: Partial<Omit<Check, "path">> = {}): Check {
  const { target = "/auth", headers = ["Host", "app.example"] } = changes;
  return {
    method: "GET",
    target,
    headers,
    hasAuthorization: firstHeader(headers, "authorization") !== null,
    hasCookie: firstHeader(headers, "cookie") !== null,
    body: null,
    hold: () => {},
    release: () => {},
    ...changes,
    path: target.split("?", 1)[0] ?? "",
  };
}

export function route(changes: Partial<Route> = {}): Route {
  return {
    name: "sso",
    listen: { host: "127.0.0.1", port: 9000 },
    path: { kind: "exact", path: "/auth" },
    gateway: "traefik",
    upstream: upstreamAt(9),
    maxInFlight: 1_024,
    stripEmergencyCredentials: true,
    fault: FAULT_RULES,
    breaker: BREAKER_RULES,
    probe: PROBE_RULES,
    fallback: basicAuth(),
    hosts: [],
    requireHeaders: [],
    loginOf: null,
    ...changes,
  };
}

/* These are the defaults of a config. */

export const FAULT_RULES: FaultRules = {
  statuses: new Set([502, 503, 504]),
  suspectStatuses: new Set([500]),
  bare400: true,
  confirm: "auto",
  match: [],
  expect: { challenge: { headers: [], location: null, cookie: null }, allow: { headers: [] } },
};
export const BREAKER_RULES: BreakerRules = {
  failures: 5,
  interval: 2_000,
  maxInterval: 15_000,
  successes: 2,
};
export const PROBE_RULES: ProbeRules = {
  hosts: [],
  uri: "/",
  headers: [],
  minInterval: 2_000,
  loginHealth: [],
};

/** How a check may be tried again. */
export function tryingOf(
  changes: Partial<Extract<Trying, { kind: "check" }>> = {},
): Extract<Trying, { kind: "check" }> {
  const client = () => "192.0.2.1";
  const asked = { client, isProvenHost: () => false, late: () => {}, patience: null };
  return { kind: "check", fault: FAULT_RULES, ...asked, ...changes };
}

export const DENY: DenyFallback = { mode: "deny", grace: null, page: null };

export function basicAuth(changes: Partial<BasicAuthFallback> = {}): BasicAuthFallback {
  return {
    mode: "basic-auth",
    realm: "Emergency Access",
    htpasswd: "/etc/sparekey/htpasswd",
    usernameHeader: "X-authentik-username",
    clearHeaders: ["X-authentik-uid", "X-authentik-groups"],
    allowFrom: null,
    rateLimit: { failures: 10, per: 60_000, global: 300 },
    grace: null,
    page: null,
    ...changes,
  };
}

export function answer(status: number, headers: RawHeaders = [], body: string | Body = ""): Answer {
  const whole = typeof body === "string" ? ({ kind: "whole", bytes: Buffer.from(body) } as const) : body;
  return { status, statusText: "As It Came", headers, body: whole };
}

export interface StreamedBody {
  readonly body: Body;
  /** How often the stream was cancelled. */
  cancelled(): number;
}

export function streamedBody(text: string): StreamedBody {
  let cancelled = 0;
  async function* chunks(): AsyncGenerator<Uint8Array> {
    yield Buffer.from(text);
  }
  const cancel = (): void => {
    cancelled += 1;
  };
  const ended = Promise.resolve(null);
  return { body: { kind: "stream", chunks: chunks(), cancel, ended }, cancelled: () => cancelled };
}

/** The value of an Authorization header. */
export function basic(user: string, password: string): string {
  return `Basic ${Buffer.from(`${user}:${password}`).toString("base64")}`;
}

/** `10.0.0.0/8`, `2001:db8::/32`. */
export function networks(...cidrs: readonly string[]): AddressList {
  const list = new BlockList();
  for (const cidr of cidrs) {
    const [address = "", bits = ""] = cidr.split("/");
    list.addSubnet(address, Number(bits), address.includes(":") ? "ipv6" : "ipv4");
  }
  return list;
}

/** The text of a reply with a whole body. */
export function textOf({ body }: Reply): string {
  if (body.kind !== "whole") throw new Error("the reply's body is streamed");
  return Buffer.from(body.bytes).toString();
}
