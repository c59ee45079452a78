/**
 * What a person may change on the admin listener, with the admin password: reload the config, and choose for a
 * route. Cross-site requests are refused: a browser sends a remembered password with them too.
 */
import basicAuth from "@fastify/basic-auth";
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { basicUserOf } from "../core/basic-credentials.ts";
import { limitKey } from "../core/client-address.ts";
import { readDuration } from "../core/duration.ts";
import type { Credentials, LoginResult, OverrideMode, ReloadResult } from "../core/types.ts";

export interface AdminActions {
  /** False: no admin password is set, so nothing can be changed here. */
  isOpen(): boolean;
  /** `address`: as core/client-address.ts `limitKey` has it. Always settles, never rejects. */
  login(credentials: Credentials, address: string): Promise<LoginResult>;
  /** Reads the config again. `user`: who asked. */
  reload(user: string): Promise<ReloadResult>;
  /** Names of the routes in use. */
  routes(): readonly string[];
  /** `mode` null: as the config says again. */
  override(route: string, mode: OverrideMode | null, milliseconds: number, user: string): void;
  /** Milliseconds since the epoch. */
  now(): number;
}

const MAX_BODY_BYTES = 4 * 1024;
const SHORTEST_MS = 1_000;
const LONGEST_MS = 24 * 3_600_000;
const CLOSED = "no admin password is set; name a file of users in admin.htpasswd to change things here";
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

/** A plugin of its own: its hooks and parsers are for these paths only. */
export async function addAdminActions(app: FastifyInstance, actions: AdminActions): Promise<void> {
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
  app.post<{ Params: { route: string } }>("/-/routes/:route/override", (request, reply) => {
    const { route } = request.params;
    const known = actions.routes();
    if (!known.includes(route))
      throw new Refusal(404, `there is no such route; there are ${known.join(", ")}`);
    const wanted = readOverride(request.body);
    actions.override(route, wanted.mode, wanted.milliseconds, userOf(request));
    if (wanted.mode === null) return reply.send({ route, mode: "auto" });
    const until = new Date(actions.now() + wanted.milliseconds).toISOString();
    return reply.send({ route, mode: wanted.mode, until });
  });
}

async function takeText(_request: FastifyRequest, body: string): Promise<string> {
  return body;
}

async function login(
  actions: AdminActions,
  credentials: Credentials,
  request: FastifyRequest,
): Promise<void> {
  const result = await actions.login(credentials, limitKey(request.ip));
  switch (result.kind) {
    case "ok":
      return;
    case "missing":
    case "bad":
      throw new Refusal(401, "name or password is wrong");
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

/** The name that has just logged in. */
function userOf({ headers }: FastifyRequest): string {
  return basicUserOf(headers.authorization ?? "") ?? "";
}

interface WantedOverride {
  readonly mode: OverrideMode | null;
  readonly milliseconds: number;
}

function readOverride(body: unknown): WantedOverride {
  const { mode, ttl } = readObject(body);
  if (mode === "auto") return { mode: null, milliseconds: 0 };
  if (mode !== "fallback" && mode !== "upstream") {
    throw new Refusal(400, `mode must be one of fallback, upstream, auto; ${WRITE}`);
  }
  const milliseconds = typeof ttl === "string" ? readDuration(ttl) : Number.NaN;
  if (milliseconds >= SHORTEST_MS && milliseconds <= LONGEST_MS) return { mode, milliseconds };
  throw new Refusal(400, `ttl must be a duration from 1s to 24h, as an override has to end; ${WRITE}`);
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

function refuse(reply: FastifyReply, error: FastifyError): FastifyReply {
  const { statusCode = 500 } = error;
  if (error instanceof Refusal && error.retryAfterSeconds !== null) {
    reply.header("Retry-After", error.retryAfterSeconds);
  }
  // A body that was not read must not be sent on and on.
  reply.code(statusCode).header("Connection", "close");
  return reply.send({ error: statusCode < 500 ? error.message : "internal error" });
}
