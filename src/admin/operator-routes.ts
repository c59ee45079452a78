/**
 * The operator's page and its forms. A form carries a token of the page it is on, made for the logged-in user. Another
 * site cannot read a token, so it cannot send such a form.
 */
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import type { Status } from "../observe/status/status.ts";
import { probeResultText } from "../observe/status/wording.ts";
import { type AdminActions, override, probeSoon, routeIn, STILL_PROBING } from "./actions.ts";
import { createFormTokens } from "./form-tokens.ts";
import { guard, userOf } from "./guard.ts";
import { timeOfDay } from "./layout.ts";
import { type Done, OPERATOR_PATH, operatorPage, refusedPage } from "./operator-page.ts";
import { Refusal, refusalText, refusing } from "./refusal.ts";
import { PAGE_HEADERS } from "./status-routes.ts";

interface OperatorPageDeps {
  readonly actions: AdminActions;
  status(): Promise<Status>;
}

const MAX_BODY_BYTES = 4 * 1024;
/** How long the page shows the result of the last action. */
const SHOWN_MS = 5 * 60_000;

type Fields = Readonly<Record<string, string>>;

/** A plugin of its own, so that its hooks and parsers hold for these paths only. */
export async function addOperatorPage(
  app: FastifyInstance,
  { actions, status }: OperatorPageDeps,
): Promise<void> {
  const tokens = createFormTokens();
  let done: Done | null = null;

  await guard(app, actions);
  // Only what a form sends is read, neither JSON nor plain text.
  app.removeAllContentTypeParsers();
  app.addContentTypeParser(
    "application/x-www-form-urlencoded",
    { parseAs: "string", bodyLimit: MAX_BODY_BYTES },
    async (_request: unknown, body: string) => Object.fromEntries(new URLSearchParams(body)),
  );
  app.setErrorHandler((error: FastifyError, _request, reply) =>
    page(refusing(reply, error), refusedPage(error.statusCode ?? 500, refusalText(error))),
  );

  app.get(OPERATOR_PATH, async (request, reply) => {
    const now = await status();
    const shown = done !== null && Date.now() - done.at < SHOWN_MS ? done : null;
    const user = userOf(request);
    return page(reply, operatorPage(now, { actions, user, token: tokens.make(user), done: shown }));
  });

  /** The reply leads back to the page, which shows the result. */
  const act = (
    path: string,
    work: (fields: Fields, user: string) => Promise<Pick<Done, "text" | "isGood">>,
  ): void => {
    app.post(OPERATOR_PATH + path, async (request, reply) => {
      const user = userOf(request);
      const { token, ...fields } = fieldsOf(request);
      if (!tokens.isGood(token ?? "", user))
        throw new Refusal(403, "this form is too old; go back and load the page again");
      const { text, isGood } = await work(fields, user);
      done = { at: Date.now(), user, text, isGood };
      return reply.redirect(OPERATOR_PATH, 303);
    });
  };

  act("/reload", async (_fields, user) => {
    const result = await actions.reload(user);
    if (result.ok) return { text: "The config was read again and is in use.", isGood: true };
    const text = `The config was refused, the one in use stays. ${result.problems.slice(0, 5).join(". ")}`;
    return { text, isGood: false };
  });
  act("/override", async ({ route: name, ...wanted }, user) => {
    const route = routeIn(name, actions);
    override(route, wanted, user, actions);
    const now = actions.overrideOf(route);
    const text =
      now === null
        ? `${route} is as the config says again.`
        : `${route} is overridden to ${now.mode} until ${timeOfDay(new Date(now.until).toISOString())} UTC.`;
    return { text, isGood: true };
  });
  act("/probe", async ({ route: name }, user) => {
    const route = routeIn(name, actions);
    const result = await probeSoon(route, user, actions);
    const text = result === null ? STILL_PROBING : probeResultText(result);
    return { text: `Probe of ${route}: ${text}.`, isGood: result?.kind === "fine" };
  });
}

function fieldsOf({ body }: FastifyRequest): Fields {
  return typeof body === "object" && body !== null ? (body as Fields) : {};
}

function page(reply: FastifyReply, text: string): FastifyReply {
  return reply.headers(PAGE_HEADERS).type("text/html; charset=utf-8").send(text);
}
