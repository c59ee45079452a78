/** The login with the admin password, which everything that changes something or shows more than the status needs. */
import { createRequire } from "node:module";
import type { fastifyBasicAuth } from "@fastify/basic-auth";
import type { FastifyInstance, FastifyRequest } from "fastify";
import { basicUserOf } from "../core/basic-credentials.ts";
import { limitKey } from "../core/client-address.ts";
import type { Credentials } from "../core/types.ts";
import type { AdminActions } from "./actions.ts";
import { Refusal, WRONG_LOGIN } from "./refusal.ts";

// The package loads together with Fastify, with the first request that needs it: src/http/lazy-fastify.ts.
const require = createRequire(import.meta.url);
const CLOSED = "no admin password is set; name a file of users in admin.htpasswd to change things here";
const CROSS_SITE = "refused: the request comes from another site";

/** Lets only logged-in users reach the routes of `app`, and refuses what another site sends in their name. */
export async function guard(app: FastifyInstance, actions: AdminActions): Promise<void> {
  const basicAuth: typeof fastifyBasicAuth = require("@fastify/basic-auth");
  await app.register(basicAuth, {
    authenticate: { realm: "sparekey admin" },
    validate: (user, password, request) => login(actions, { user, password }, request),
  });
  app.addHook("onRequest", async (request) => {
    if (!actions.isOpen()) throw new Refusal(403, CLOSED);
    // Any site may link to a page. A browser sends a remembered password with a cross-site POST too.
    if (request.method !== "GET" && isCrossSite(request)) throw new Refusal(403, CROSS_SITE);
  });
  app.addHook("onRequest", app.basicAuth);
}

/** The name that the request logs in with; "" without one. */
export function userOf({ headers }: FastifyRequest): string {
  return basicUserOf(headers.authorization ?? "") ?? "";
}

async function login(
  actions: AdminActions,
  credentials: Credentials,
  request: FastifyRequest,
): Promise<void> {
  // If the two parsers read different names, the log would name another user than the one verified.
  if (userOf(request) !== credentials.user) throw new Refusal(401, WRONG_LOGIN);
  const result = await actions.login(credentials, limitKey(request.ip));
  switch (result.kind) {
    case "ok":
      return;
    case "missing":
    case "bad":
      throw new Refusal(401, WRONG_LOGIN);
    case "limited":
      throw new Refusal(429, "too many wrong passwords; wait", result.retryAfterSeconds);
    case "forbidden":
      throw new Refusal(403, "the file that admin.htpasswd names has no usable line");
  }
}

/** Browsers name the origin with every POST of a page. Other programs name none. */
function isCrossSite({ headers }: FastifyRequest): boolean {
  const site = headers["sec-fetch-site"];
  if (site !== undefined && site !== "same-origin" && site !== "none") return true;
  const { origin, host } = headers;
  return origin !== undefined && origin.replace(/^https?:\/\//, "") !== host;
}
