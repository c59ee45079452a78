/**
 * What a person may do on the admin listener, with the admin password: reload the config, choose for a route, have
 * it probed. Cross-site requests are refused: a browser sends a remembered password with them too.
 */
import { createRequire } from "node:module";
import type { fastifyBasicAuth } from "@fastify/basic-auth";
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { basicUserOf } from "../core/basic-credentials.ts";
import { limitKey } from "../core/client-address.ts";
import { readDuration } from "../core/duration.ts";
import type { ProbeResult } from "../core/probe.ts";
import type { Credentials, LoginResult, OverrideMode, ReloadResult } from "../core/types.ts";
import type { OverrideFacts } from "../observe/status/status.ts";
import type { TimelineEntry } from "../observe/timeline.ts";

export interface AdminActions {
  /** False: no admin password is set, so nothing can be changed here. */
  isOpen(): boolean;
  /** `address`: as core/client-address.ts `limitKey` has it. Always settles, never rejects. */
  login(credentials: Credentials, address: string): Promise<LoginResult>;
  /** Reads the config again. `user`: who asked. */
  reload(user: string): Promise<ReloadResult>;
  /** Asks the upstream of a route at once. Never rejects; takes as long as the route's timeouts let it. */
  probe(route: string, user: string): Promise<ProbeResult>;
  /** Names of the routes in use. */
  routes(): readonly string[];
  /** Where a route's upstream is: `http://host:port`. */
  upstreamOf(route: string): readonly string[];
  /** What happened, the newest first. */
  events(): readonly TimelineEntry[];
  /** The one that holds, until so many milliseconds since the epoch; null: there is none. */
  overrideOf(route: string): OverrideFacts | null;
  /** `mode` null: as the config says again. `reason`: in the words of `user`; null: none were given. */
  override(
    route: string,
    mode: OverrideMode | null,
    milliseconds: number,
    user: string,
    reason: string | null,
  ): void;
}

// With Fastify, which comes late: src/http/lazy-fastify.ts.
const require = createRequire(import.meta.url);
const MAX_BODY_BYTES = 4 * 1024;
const SHORTEST_MS = 1_000;
const LONGEST_MS = 24 * 3_600_000;
export const LONGEST_REASON = 200;
/** What breaks a line, or turns the order of what stands beside it. */
const NOT_TEXT = /[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}\p{Cs}]/u;
const CLOSED = "no admin password is set; name a file of users in admin.htpasswd to change things here";
const WRONG = "name or password is wrong";
const CROSS_SITE = "refused: the request comes from another site";
const WRITE = 'write {"mode": "fallback", "ttl": "10m"}';
/** Less than the listener waits for a reply. */
const PROBE_MS = 8_000;

/** An error that a person at the keyboard should read. */
export class Refusal extends Error {
  readonly statusCode: number;
  readonly retryAfterSeconds: number | null;

  constructor(statusCode: number, message: string, retryAfterSeconds: number | null = null) {
    super(message);
    this.statusCode = statusCode;
    this.retryAfterSeconds = retryAfterSeconds;
  }
}

interface OfRoute {
  readonly Params: { readonly route: string };
}

/** What can be read of it needs no password, as nothing on this listener does. */
export function showAdminActions(app: FastifyInstance, actions: AdminActions): void {
  app.get("/-/reload", (_request, reply) =>
    refuse(reply.header("Allow", "POST"), new Refusal(405, "use POST")),
  );
  app.get<OfRoute>("/-/routes/:route/override", ({ params }, reply) => {
    const { route } = params;
    if (!actions.routes().includes(route)) return refuse(reply, noSuchRoute(actions));
    return reply.send(shownOverride(route, actions));
  });
}

/** Who gets to the routes of `app` has logged in, and comes from no other site where something is to be done. */
export async function guard(app: FastifyInstance, actions: AdminActions): Promise<void> {
  const basicAuth: typeof fastifyBasicAuth = require("@fastify/basic-auth");
  await app.register(basicAuth, {
    authenticate: { realm: "sparekey admin" },
    validate: (user, password, request) => login(actions, { user, password }, request),
  });
  app.addHook("onRequest", async (request) => {
    if (!actions.isOpen()) throw new Refusal(403, CLOSED);
    // A link to a page may stand anywhere.
    if (request.method !== "GET" && isCrossSite(request)) throw new Refusal(403, CROSS_SITE);
  });
  app.addHook("onRequest", app.basicAuth);
}

/** A plugin of its own: its hooks and parsers are for these paths only. */
export async function addAdminActions(app: FastifyInstance, actions: AdminActions): Promise<void> {
  await guard(app, actions);
  // Whatever type it is sent as: curl -d says that it is a form.
  app.removeAllContentTypeParsers();
  app.addContentTypeParser("*", { parseAs: "string", bodyLimit: MAX_BODY_BYTES }, takeText);
  app.setErrorHandler((error: FastifyError, _request, reply) => refuse(reply, error));

  app.post("/-/reload", async (request, reply) => {
    const result = await actions.reload(userOf(request));
    return reply.code(result.ok ? 200 : 422).send(result);
  });
  app.post<OfRoute>("/-/routes/:route/override", (request, reply) => {
    const route = routeIn(request.params.route, actions);
    override(route, readObject(request.body), userOf(request), actions);
    return reply.send(shownOverride(route, actions));
  });
  app.post<OfRoute>("/-/routes/:route/probe", async (request, reply) => {
    const route = routeIn(request.params.route, actions);
    const finding = await probeSoon(route, userOf(request), actions);
    if (finding === null) throw new Refusal(504, STILL_PROBING);
    return reply.send({
      route,
      finding: finding.kind,
      ...("reason" in finding && { reason: finding.reason }),
    });
  });
}

export const STILL_PROBING = "the upstream has not answered yet; what comes of it is told at /";

/** null: it goes on. */
export async function probeSoon(
  route: string,
  user: string,
  actions: AdminActions,
): Promise<ProbeResult | null> {
  const { promise: late, resolve } = Promise.withResolvers<null>();
  const timer = setTimeout(resolve, PROBE_MS, null);
  const finding = await Promise.race([actions.probe(route, user), late]);
  clearTimeout(timer);
  return finding;
}

function shownOverride(route: string, actions: AdminActions) {
  const override = actions.overrideOf(route);
  if (override === null) return { route, mode: "auto" };
  const { mode, until, reason } = override;
  return { route, mode, until: new Date(until).toISOString(), ...(reason !== null && { reason }) };
}

export function routeIn(name: unknown, actions: AdminActions): string {
  const route = actions.routes().find((one) => one === name);
  if (route === undefined) throw noSuchRoute(actions);
  return route;
}

function noSuchRoute(actions: AdminActions): Refusal {
  return new Refusal(404, `there is no such route; there are ${actions.routes().join(", ")}`);
}

async function takeText(_request: FastifyRequest, body: string): Promise<string> {
  return body;
}

async function login(
  actions: AdminActions,
  credentials: Credentials,
  request: FastifyRequest,
): Promise<void> {
  // Read in two ways, it would be logged under another name than it is verified by.
  if (userOf(request) !== credentials.user) throw new Refusal(401, WRONG);
  const result = await actions.login(credentials, limitKey(request.ip));
  switch (result.kind) {
    case "ok":
      return;
    case "missing":
    case "bad":
      throw new Refusal(401, WRONG);
    case "limited":
      throw new Refusal(429, "too many wrong passwords; wait", result.retryAfterSeconds);
    case "forbidden":
      throw new Refusal(403, "the file that admin.htpasswd names has no usable line");
  }
}

/** Browsers name the origin of every POST of a page; programs name none. */
function isCrossSite({ headers }: FastifyRequest): boolean {
  const site = headers["sec-fetch-site"];
  if (site !== undefined && site !== "same-origin" && site !== "none") return true;
  const { origin, host } = headers;
  return origin !== undefined && origin.replace(/^https?:\/\//, "") !== host;
}

/** Of who logs in; empty: of nobody. */
export function userOf({ headers }: FastifyRequest): string {
  return basicUserOf(headers.authorization ?? "") ?? "";
}

/** As `values` say, which came from outside. */
export function override(
  route: string,
  { mode, ttl, reason: written, ...others }: Readonly<Record<string, unknown>>,
  user: string,
  actions: AdminActions,
): void {
  const [unknown] = Object.keys(others);
  if (unknown !== undefined) throw new Refusal(400, `${shown(unknown)} is not known here; ${WRITE}`);
  const reason = readReason(written);
  if (mode === "auto") return actions.override(route, null, 0, user, null);
  if (mode !== "fallback" && mode !== "upstream") {
    throw new Refusal(400, `mode ${shown(mode)} is not one of fallback, upstream, auto; ${WRITE}`);
  }
  const milliseconds = typeof ttl === "string" ? readDuration(ttl) : Number.NaN;
  if (!(milliseconds >= SHORTEST_MS && milliseconds <= LONGEST_MS)) {
    const message = `ttl ${shown(ttl)} is not a duration from 1s to 24h, and an override has to end`;
    throw new Refusal(400, `${message}; ${WRITE}`);
  }
  actions.override(route, mode, milliseconds, user, reason);
}

function readReason(written: unknown): string | null {
  if (written === undefined || written === "") return null;
  if (typeof written === "string" && written.length <= LONGEST_REASON && !NOT_TEXT.test(written)) {
    return written;
  }
  throw new Refusal(400, `reason ${shown(written)} is not a line of at most ${LONGEST_REASON} characters`);
}

/** As it came, so that a person sees the mistake; cut, since it may be anything. */
function shown(value: unknown): string {
  return JSON.stringify(value)?.slice(0, 40) ?? "(missing)";
}

function readObject(body: unknown): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(typeof body === "string" ? body : "");
    if (typeof value === "object" && value !== null) return { ...value };
  } catch {
    // Said below, for whatever is no object.
  }
  throw new Refusal(400, `the body is not a JSON object; ${WRITE}`);
}

function refuse(reply: FastifyReply, error: Refusal | FastifyError): FastifyReply {
  const { statusCode = 500 } = error;
  return refusing(reply, error).send({ error: refusalText(error, statusCode) });
}

/** All but the body. */
export function refusing(reply: FastifyReply, error: Refusal | FastifyError): FastifyReply {
  if (error instanceof Refusal && error.retryAfterSeconds !== null) {
    reply.header("Retry-After", error.retryAfterSeconds);
  }
  // A body that was not read must not be sent on and on.
  return reply.code(error.statusCode ?? 500).header("Connection", "close");
}

export function refusalText(error: Error, status: number): string {
  if (status >= 500 && !(error instanceof Refusal)) return "internal error";
  // The package's own words are about a header.
  return status === 401 ? WRONG : error.message;
}
