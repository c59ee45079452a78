/** The schema of the config: what each key alone may hold. combinations.ts finds keys that contradict each other. */
import * as z from "zod/mini";
import type { Gateway } from "../core/snapshot.ts";
import {
  hostHeader,
  listenAddress,
  origins,
  proxyNetwork,
  resources,
  routePath,
  serverName,
  webhookUrl,
} from "./addresses.ts";
import { fallbackShape, hostShape } from "./fallback-schema.ts";
import { expectShape, faultShape } from "./fault-schema.ts";
import { asMapping } from "./plain-data.ts";
import { requestHeaders } from "./request-headers.ts";
import { filePath, identityHeader, requestUri, routeName } from "./texts.ts";
import {
  described,
  duration,
  list,
  oneOf,
  optional,
  orNull,
  section,
  size,
  wholeNumber,
  yesOrNo,
} from "./values.ts";

const MOST_REQUIRED = 32;
const MOST_NOTIFIED = 8;
const MOST_PROBE_HOSTS = 16;

export const tlsShape = {
  ca: orNull(filePath(), "PEM file of the authorities to trust; null: the system's."),
  cert: orNull(filePath(), "PEM file of the client certificate; needs key."),
  key: orNull(filePath(), "PEM file of the client certificate's key; needs cert."),
  serverName: orNull(serverName(), "Name to ask for and to verify; null: each server's own host."),
  verify: optional(yesOrNo(), true, "Whether the upstream's certificate must be valid."),
};

const timeoutsShape = {
  connect: optional(duration("10ms", "10m"), "3s", "To a usable connection, TLS included."),
  read: optional(duration("10ms", "10m"), "5s", "To the next byte of the answer."),
  total: optional(duration("10ms", "10m"), "8s", "The whole exchange, waiting for a connection included."),
};

export const breakerShape = {
  failures: optional(wholeNumber(1, 1000), 5, "Counted faults in a row that open it."),
  interval: optional(
    duration("100ms", "1h"),
    "2s",
    "Until the first trial; doubled after each bad one, up to maxInterval.",
  ),
  maxInterval: optional(duration("100ms", "1h"), "15s", "The longest wait between trials."),
  successes: optional(wholeNumber(1, 1000), 2, "Good trials in a row that close it."),
};

export const probeShape = {
  hosts: optional(
    list(hostHeader(), "[app.example.com]", MOST_PROBE_HOSTS),
    [],
    "Hosts of apps that a probe asks for, the first one first; empty: as checks had them.",
  ),
  host: orNull(hostHeader(), "A short form of hosts with one entry."),
  uri: optional(requestUri(), "/", "The URI that a probe asks for."),
  headers: optional(requestHeaders(), {}, "Headers of a probe, in place of those of the same name."),
  minInterval: optional(duration("100ms", "1h"), "2s", "How long a good probe result holds."),
  loginHealth: described(
    z._default(z.nullable(resources()), null),
    "URL that must answer 2xx for a challenge to count as a verdict, or a list of them; null: not asked.",
  ),
};

const GATEWAYS = ["traefik", "nginx", "caddy", "envoy", "haproxy"] as const satisfies readonly Gateway[];

export const routeShape = {
  name: described(z.optional(routeName()), "Unique. Default: the preset's name."),
  preset: optional(
    oneOf(["authentik", "authelia", "oauth2-proxy", "bot-block", "none"]),
    "none",
    "The kind of upstream; gives name, path, mode and identity headers their defaults.",
  ),
  listen: described(z.optional(listenAddress()), "Where this route listens. Default: listen at the top."),
  path: described(
    z.optional(routePath()),
    'Exact path, or a prefix as in "/outpost.goauthentik.io/*". Default: the preset\'s.',
  ),
  gateway: described(
    z.optional(oneOf(GATEWAYS)),
    "The gateway that asks, which decides in what headers host, URI, method and address stand. Default: by preset and path, else traefik.",
  ),
  upstream: described(origins(), "The server to ask; of a list, later ones when a connection fails."),
  tls: optional(section(tlsShape), {}, "For https upstreams."),
  timeouts: optional(section(timeoutsShape), {}, "How long an exchange with the upstream may take."),
  maxInFlight: optional(wholeNumber(1, 1_000_000), 1024, "Checks of this route at a time."),
  maxConnections: described(
    z.optional(wholeNumber(1, 65_535)),
    "Connections kept to the upstream. From 2 to 7, one of them is for probes. Default: 2 with preset bot-block, else 256.",
  ),
  pipelining: optional(
    wholeNumber(1, 4),
    1,
    "Checks on a connection to the upstream at a time, once all are busy; for http upstreams.",
  ),
  requireHeaders: optional(
    list(identityHeader(), "[X-authentik-username]", MOST_REQUIRED),
    [],
    "Headers a 2xx of the upstream must have; without one of them it is refused.",
  ),
  stripEmergencyCredentials: optional(
    yesOrNo(),
    true,
    "Whether Authorization: Basic of a user in htpasswd is kept from the upstream.",
  ),
  fault: optional(section(faultShape), {}, "Which answers mean that the upstream cannot decide."),
  expect: optional(section(expectShape), {}, "What verdicts of a healthy upstream always have."),
  breaker: optional(section(breakerShape), {}, "When the upstream is no longer asked, and when it is again."),
  probe: optional(
    section(probeShape),
    {},
    "What sparekey itself asks the upstream, to confirm a fault or find its end.",
  ),
  fallback: optional(section(fallbackShape), {}, "What to do then."),
  hosts: optional(
    list(section(hostShape), '[{ match: "*.admin.example.com", fallback: { mode: deny } }]'),
    [],
    "Another fallback for some hosts; the first match on X-Forwarded-Host wins.",
  ),
  loginOf: orNull(
    oneOf(["authentik"]),
    "Mode none only: whose login pages the route carries, so that logins are counted; null: nobody's.",
  ),
};

export const adminShape = {
  listen: optional(listenAddress(), "0.0.0.0:9090", "Where health and metrics are served."),
  htpasswd: orNull(
    filePath(),
    "File of users and password hashes; they may reload the config and override routes. null: nobody may.",
  ),
};

const logShape = {
  level: optional(oneOf(["debug", "info", "warn", "error"]), "info", "The least severe line to write."),
  access: optional(oneOf(["off", "sampled", "all"]), "sampled", "Which checks get a line of their own."),
};

const limitsShape = {
  headBytes: optional(size("4KiB", "1MiB"), "256KiB", "Of a check's or an answer's head."),
  connections: optional(wholeNumber(1, 1_000_000), 10_000, "Connections of gateways, per listener."),
  answerBytes: optional(
    size("1KiB", "1GiB"),
    "1MiB",
    "Of an answer's body; routes with fallback none have no limit.",
  ),
};

const drainShape = {
  delay: optional(duration("0s", "1h"), "0s", "Keep serving after SIGTERM while load balancers notice."),
  timeout: optional(duration("0s", "1h"), "25s", "Time for what is in flight to finish."),
};

export const notifyShape = {
  url: described(webhookUrl(), "Where to POST: http:// or https://, with any path and query."),
  headers: optional(requestHeaders(), {}, "Headers of the POST, in place of ours of the same name."),
};

export const rootShape = {
  listen: optional(listenAddress(), "0.0.0.0:9000", "Where routes listen, unless a route names its own."),
  admin: optional(section(adminShape), {}, "The admin listener."),
  log: optional(section(logShape), {}, "JSON lines on stdout."),
  limits: optional(section(limitsShape), {}, "Limits of what is held in memory."),
  drain: optional(section(drainShape), {}, "What happens after SIGTERM."),
  trustedProxies: optional(
    list(proxyNetwork(), "[10.0.0.0/8]"),
    [],
    "Proxies in front of the gateway; the client is the rightmost X-Forwarded-For entry that is not one.",
  ),
  workers: optional(wholeNumber(1, 64), 1, "Processes that answer checks; a change needs a restart."),
  wire: optional(
    oneOf(["auto", "fastify"]),
    "auto",
    "auto: plain checks go as bytes over raw sockets, others over Fastify and undici; fastify: all go over these.",
  ),
  notify: optional(
    list(section(notifyShape), "[{ url: https://chat.example.com/hooks/ID }]", MOST_NOTIFIED),
    [],
    "Webhooks that get a message when a route enters or leaves fallback.",
  ),
  routes: described(
    list(section(routeShape), "[{ preset: authentik, upstream: http://host:9000 }]").check(
      z.minLength(1, { error: "holds no route; add one with preset and upstream" }),
    ),
    "First the preset, then what differs from it.",
  ),
};

export const configSchema = section(rootShape);
export type Config = z.output<typeof configSchema>;
export type RouteConfig = Config["routes"][number];
export type HostConfig = RouteConfig["hosts"][number];

/** The keys of `raw` that are good by themselves, with defaults, so that mistakes elsewhere hide no contradiction. */
export function validParts<T extends z.core.$ZodShape>(
  shape: T,
  raw: unknown,
): { readonly [K in keyof T]?: z.core.output<T[K]> } {
  const parts: { [K in keyof T]?: z.core.output<T[K]> } = {};
  for (const key of Object.keys(shape) as (keyof T & string)[]) {
    const schema = shape[key];
    if (schema === undefined) continue;
    const reading = z.safeParse(schema, asMapping(raw)[key]);
    if (reading.success) parts[key] = reading.data;
  }
  return parts;
}
