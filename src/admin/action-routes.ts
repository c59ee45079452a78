/** The actions as JSON: reload the config, override a route, probe its upstream. */
import type { FastifyError, FastifyInstance, FastifyReply } from "fastify";
import { type AdminActions, OVERRIDE_HINT, override, probeSoon, routeIn, STILL_PROBING } from "./actions.ts";
import { guard, userOf } from "./guard.ts";
import { Refusal, refusalText, refusing } from "./refusal.ts";

const MAX_BODY_BYTES = 4 * 1024;

interface RouteParams {
  readonly Params: { readonly route: string };
}

/** Reading needs no password here, like everything else that can be read on this listener. */
export async function addAdminReads(app: FastifyInstance, actions: AdminActions): Promise<void> {
  app.setErrorHandler(refuse);
  app.get("/-/reload", (_request, reply) => {
    reply.header("Allow", "POST");
    throw new Refusal(405, "use POST");
  });
  app.get<RouteParams>("/-/routes/:route/override", ({ params }, reply) =>
    reply.send(shownOverride(routeIn(params.route, actions), actions)),
  );
}

/** A plugin of its own, so that its hooks and parsers hold for these paths only. */
export async function addAdminActions(app: FastifyInstance, actions: AdminActions): Promise<void> {
  await guard(app, actions);
  // The body is read as text whatever its type says: curl -d calls it a form.
  app.removeAllContentTypeParsers();
  app.addContentTypeParser(
    "*",
    { parseAs: "string", bodyLimit: MAX_BODY_BYTES },
    async (_request: unknown, body: string) => body,
  );
  app.setErrorHandler(refuse);

  app.post("/-/reload", async (request, reply) => {
    const result = await actions.reload(userOf(request));
    return reply.code(result.ok ? 200 : 422).send(result);
  });
  app.post<RouteParams>("/-/routes/:route/override", (request, reply) => {
    const route = routeIn(request.params.route, actions);
    override(route, readObject(request.body), userOf(request), actions);
    return reply.send(shownOverride(route, actions));
  });
  app.post<RouteParams>("/-/routes/:route/probe", async (request, reply) => {
    const route = routeIn(request.params.route, actions);
    const result = await probeSoon(route, userOf(request), actions);
    if (result === null) throw new Refusal(504, STILL_PROBING);
    return reply.send({
      route,
      finding: result.kind,
      ...("reason" in result && { reason: result.reason }),
    });
  });
}

function shownOverride(route: string, actions: AdminActions) {
  const override = actions.overrideOf(route);
  if (override === null) return { route, mode: "auto" };
  const { mode, until, reason } = override;
  return { route, mode, until: new Date(until).toISOString(), ...(reason !== null && { reason }) };
}

function readObject(body: unknown): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(typeof body === "string" ? body : "");
    if (typeof value === "object" && value !== null) return { ...value };
  } catch {
    // The refusal below covers all that is no object.
  }
  throw new Refusal(400, `the body is not a JSON object; ${OVERRIDE_HINT}`);
}

function refuse(error: FastifyError, _request: unknown, reply: FastifyReply): FastifyReply {
  return refusing(reply, error).send({ error: refusalText(error) });
}
