/**
 * What a person may change on the admin listener, with the admin password: reload the config, and choose for a
 * route. Cross-site requests are refused: a browser sends a remembered password with them too.
 */
import { createRequire } from "node:module";
import type { fastifyBasicAuth } from "@fastify/basic-auth";
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { basicUserOf } from "../core/basic-credentials.ts";
import { limitKey } from "../core/client-address.ts";
import { readDuration } from "../core/duration.ts";
import type { Credentials, LoginResult, OverrideMode, ReloadResult } from "../core/types.ts";
import type { OverrideFacts } from "../observe/status.ts";

export interface AdminActions {
  /** False: no admin password is set, so nothing can be changed here. */
  isOpen(): boolean;
  /** `address`: as core/client-address.ts `limitKey` has it. Always settles, never rejects. */
  login(credentials: Credentials, address: string): Promise<LoginResult>;
  /** Reads the config again. `user`: who asked. */
  reload(user: string): Promise<ReloadResult>;
  /** Names of the routes in use. */
  routes(): readonly string[];
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

// With Fastify, which comes late: src/servers/late-fastify.ts.
const require = createRequire(import.meta.url);
const MAX_BODY_BYTES = 4 * 1024;
const SHORTEST_MS = 1_000;
const LONGEST_MS = 24 * 3_600_000;
const LONGEST_REASON = 200;
/** What breaks a line, or turns the order of what stands beside it. */
const NOT_TEXT = /[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}\p{Cs}]/u;
const CLOSED = "no admin password is set; name a file of users in admin.htpasswd to change things here";
const WRONG = "name or password is wrong";
const CROSS_SITE = "refused: the request comes from another site";
const WRITE = 'write {"mode": "fallback", "ttl": "10m"}';

/** An error that a person at the keyboard should read. */
class Refusal extends Error {
  readonly statusCode: number;
  readonly retryAfterSeconds: number | null;

  constructor(statusCode: number, message: string, retryAfterSeconds: number | null = null) {
    super(message);
    this.statusCode = statusCode;
    this.retryAfterSeconds = retryAfterSeconds;
  }
}

interface OverrideRoute {
  readonly Params: { readonly route: string };
}

/** What can be read of it needs no password, as nothing on this listener does. */
export function showAdminActions(app: FastifyInstance, actions: AdminActions): void {
  app.get("/-/reload", (_request, reply) =>
    refuse(reply.header("Allow", "POST"), new Refusal(405, "use POST")),
  );
  app.get<OverrideRoute>("/-/routes/:route/override", ({ params }, reply) => {
    const { route } = params;
    if (!actions.routes().includes(route)) return refuse(reply, noSuchRoute(actions));
    return reply.send(shownOverride(route, actions));
  });
}

/** A plugin of its own: its hooks and parsers are for these paths only. */
export async function addAdminActions(app: FastifyInstance, actions: AdminActions): Promise<void> {
  const basicAuth: typeof fastifyBasicAuth = require("@fastify/basic-auth");
  await app.register(basicAuth, {
    authenticate: { realm: "sparekey admin" },
    validate: (user, password, request) => login(actions, { user, password }, request),
  });
  app.addHook("onRequest", async (request) => {
    if (!actions.isOpen()) throw new Refusal(403, CLOSED);
    if (isCrossSite(request)) throw new Refusal(403, CROSS_SITE);
  });
  app.addHook("onRequest", app.basicAuth);
  // Whatever type it is sent as: curl -d says that it is a form.
  app.removeAllContentTypeParsers();
  app.addContentTypeParser("*", { parseAs: "string", bodyLimit: MAX_BODY_BYTES }, takeText);
  app.setErrorHandler((error: FastifyError, _request, reply) => refuse(reply, error));

  app.post("/-/reload", async (request, reply) => {
    const result = await actions.reload(userOf(request));
    return reply.code(result.ok ? 200 : 422).send(result);
  });
  app.post<OverrideRoute>("/-/routes/:route/override", (request, reply) => {
    const { route } = request.params;
    if (!actions.routes().includes(route)) throw noSuchRoute(actions);
    const { mode, milliseconds, reason } = readOverride(request.body);
    actions.override(route, mode, milliseconds, userOf(request), reason);
    return reply.send(shownOverride(route, actions));
  });
}

function shownOverride(route: string, actions: AdminActions) {
  const override = actions.overrideOf(route);
  if (override === null) return { route, mode: "auto" };
  const { mode, until, reason } = override;
  return { route, mode, until: new Date(until).toISOString(), ...(reason !== null && { reason }) };
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
function userOf({ headers }: FastifyRequest): string {
  return basicUserOf(headers.authorization ?? "") ?? "";
}

interface WantedOverride {
  readonly mode: OverrideMode | null;
  readonly milliseconds: number;
  readonly reason: string | null;
}

function readOverride(body: unknown): WantedOverride {
  const { mode, ttl, reason: written, ...others } = readObject(body);
  const [unknown] = Object.keys(others);
  if (unknown !== undefined) throw new Refusal(400, `${shown(unknown)} is not known here; ${WRITE}`);
  const reason = readReason(written);
  if (mode === "auto") return { mode: null, milliseconds: 0, reason };
  if (mode !== "fallback" && mode !== "upstream") {
    throw new Refusal(400, `mode ${shown(mode)} is not one of fallback, upstream, auto; ${WRITE}`);
  }
  const milliseconds = typeof ttl === "string" ? readDuration(ttl) : Number.NaN;
  if (milliseconds >= SHORTEST_MS && milliseconds <= LONGEST_MS) return { mode, milliseconds, reason };
  const message = `ttl ${shown(ttl)} is not a duration from 1s to 24h, and an override has to end`;
  throw new Refusal(400, `${message}; ${WRITE}`);
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
  if (error instanceof Refusal && error.retryAfterSeconds !== null) {
    reply.header("Retry-After", error.retryAfterSeconds);
  }
  // A body that was not read must not be sent on and on.
  reply.code(statusCode).header("Connection", "close");
  return reply.send({ error: messageOf(error, statusCode) });
}

function messageOf(error: Error, status: number): string {
  if (status >= 500) return "internal error";
  // The package's own words are about a header.
  return status === 401 ? WRONG : error.message;
}
