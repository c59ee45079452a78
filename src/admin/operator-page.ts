/**
 * The status page for who has logged in: with names, addresses and files, and with forms. A form brings a token of
 * the page it stands on, made for that person: no other site can read one, so none can send such a form.
 */
import { createHmac, randomBytes, timingSafeEqual } from "node:crypto";
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { momentOf, type RouteStatus, type Status } from "../observe/status/status.ts";
import { counted, findingText } from "../observe/status/wording.ts";
import {
  type AdminActions,
  guard,
  LONGEST_REASON,
  override,
  probeSoon,
  Refusal,
  refusalText,
  refusing,
  routeIn,
  STILL_PROBING,
  userOf,
} from "./actions.ts";
import { type Html, html } from "./html.ts";
import { card, cardId, heading, icon, layout, timeline, timeOfDay } from "./status-page.ts";
import { PAGE_HEADERS } from "./status-routes.ts";

export interface OperatorPageDeps {
  readonly actions: AdminActions;
  status(): Promise<Status>;
}

const PATH = "/operator";
const MAX_BODY_BYTES = 4 * 1024;
const KEY_BYTES = 32;
/** A page that is open makes a new one every few seconds. */
const TOKEN_MS = 12 * 3_600_000;
/** How long what came of an action stands above the routes. */
const SHOWN_MS = 5 * 60_000;
const TTLS = ["10m", "30m", "1h", "4h", "12h", "24h"] as const;

/** What came of the last thing that somebody did. */
interface Done {
  readonly at: number;
  readonly user: string;
  readonly text: string;
  readonly isGood: boolean;
}

type Fields = Readonly<Record<string, string>>;

/** A plugin of its own. */
export async function addOperatorPage(app: FastifyInstance, deps: OperatorPageDeps): Promise<void> {
  const { actions } = deps;
  const tokens = createTokens();
  let done: Done | null = null;

  await guard(app, actions);
  // No JSON and no plain text: only what a form of this page sends.
  app.removeAllContentTypeParsers();
  const form = { parseAs: "string", bodyLimit: MAX_BODY_BYTES } as const;
  app.addContentTypeParser(
    "application/x-www-form-urlencoded",
    form,
    async (_request: unknown, body: string) => Object.fromEntries(new URLSearchParams(body)),
  );
  app.setErrorHandler((error: FastifyError, _request, reply) => {
    const { statusCode = 500 } = error;
    return page(refusing(reply, error), refusedPage(statusCode, refusalText(error, statusCode)));
  });

  app.get(PATH, async (request, reply) => {
    const status = await deps.status();
    const shown = done !== null && Date.now() - done.at < SHOWN_MS ? done : null;
    const user = userOf(request);
    return page(reply, operatorPage(status, { actions, user, token: tokens.make(user), done: shown }));
  });

  /** Whatever comes of it is shown by the page that follows. */
  const act = (
    path: string,
    work: (fields: Fields, user: string) => Promise<Pick<Done, "text" | "isGood">>,
  ): void => {
    app.post(PATH + path, async (request, reply) => {
      const user = userOf(request);
      const { token, ...fields } = fieldsOf(request);
      if (!tokens.isGood(token ?? "", user))
        throw new Refusal(403, "this form is too old; go back and load the page again");
      const { text, isGood } = await work(fields, user);
      done = { at: Date.now(), user, text, isGood };
      return reply.redirect(PATH, 303);
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
    const finding = await probeSoon(route, user, actions);
    const text = finding === null ? STILL_PROBING : findingText(finding);
    return { text: `Probe of ${route}: ${text}.`, isGood: finding?.kind === "fine" };
  });
}

function fieldsOf({ body }: FastifyRequest): Fields {
  return typeof body === "object" && body !== null ? (body as Fields) : {};
}

function page(reply: FastifyReply, text: string): FastifyReply {
  return reply.headers(PAGE_HEADERS).type("text/html; charset=utf-8").send(text);
}

interface Tokens {
  make(user: string): string;
  isGood(token: string, user: string): boolean;
}

/** Good for this process and one name: `time.mac`. */
export function createTokens(now: () => number = () => performance.now()): Tokens {
  const key = randomBytes(KEY_BYTES);
  const macOf = (user: string, time: string): Buffer =>
    createHmac("sha256", key).update(`${time}\n${user}`).digest();
  return {
    make: (user) => {
      const time = String(Math.floor(now()));
      return `${time}.${macOf(user, time).toString("base64url")}`;
    },
    isGood: (token, user) => {
      const [time = "", mac = ""] = token.split(".");
      const wanted = macOf(user, time);
      const given = Buffer.from(mac, "base64url");
      if (given.length !== wanted.length || !timingSafeEqual(given, wanted)) return false;
      return now() - Number(time) < TOKEN_MS;
    },
  };
}

interface Shown {
  readonly actions: AdminActions;
  readonly user: string;
  readonly token: string;
  readonly done: Done | null;
}

function operatorPage(status: Status, { actions, user, token, done }: Shown): string {
  const now = Date.parse(status.time);
  const events = actions.events().map(({ at, worker, route, detail, tone }) => ({
    ...momentOf(at, now),
    route,
    worker,
    tone,
    text: detail,
  }));
  return layout({
    status,
    live: null,
    // What somebody is typing would be lost.
    refresh: false,
    nav: html`<span class="soft">${user}</span> · <a href="/">Status page</a>`,
    body: html`${heading(status)}
${done && doneNote(done)}
<section class="panel" id="config" aria-labelledby="config-name">
<h2 id="config-name">Config</h2>
<form class="buttons" method="post" action="${PATH}/reload">${tokenField(token)}<button>Reload the config</button></form>
</section>
<h2 class="hidden">Routes</h2>
<div class="cards panel">${status.routes.map((route) => card(route, acts(route, actions, token)))}</div>
${timeline(events, status.time)}`,
  });
}

function doneNote({ at, user, text, isGood }: Done): Html {
  const tone = isGood ? "good" : "bad";
  const time = timeOfDay(new Date(at).toISOString());
  return html`<p class="note tone-${tone}" id="done">${icon(tone)}<span><strong>${time}</strong> ${user}: ${text}</span></p>`;
}

function acts({ name, override: current }: RouteStatus, actions: AdminActions, token: string): Html {
  const hidden = html`${tokenField(token)}<input type="hidden" name="route" value="${name}">`;
  const id = cardId(name);
  const addresses = actions.upstreamOf(name);
  const end = html`<form method="post" action="${PATH}/override">${hidden}<input type="hidden" name="mode" value="auto"><button class="main">End the override</button></form>`;
  return html`<section class="acts" aria-label="Actions for ${name}">
<p><span class="soft">${addresses.length > 1 ? counted(addresses.length, "upstream server") : "Upstream"}:</span> ${addresses.join(", ")}</p>
<div class="buttons">${current && end}<form method="post" action="${PATH}/probe">${hidden}<button>Probe now</button></form></div>
<form class="wide" method="post" action="${PATH}/override">${hidden}
<p><label for="mode-of-${id}">Override to</label><select id="mode-of-${id}" name="mode"><option value="fallback">fallback</option><option value="upstream">upstream</option></select></p>
<p><label for="ttl-of-${id}">For</label><select id="ttl-of-${id}" name="ttl">${TTLS.map((ttl) => html`<option>${ttl}</option>`)}</select></p>
<p class="grow"><label for="reason-of-${id}">Reason, shown to all</label><input id="reason-of-${id}" name="reason" maxlength="${LONGEST_REASON}" autocomplete="off"></p>
<button>${current ? "Replace the override" : "Override"}</button></form>
</section>`;
}

function tokenField(token: string): Html {
  return html`<input type="hidden" name="token" value="${token}">`;
}

function refusedPage(status: number, message: string): string {
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>${status} · sparekey</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<link rel="icon" type="image/svg+xml" href="/status/icon-warn.svg">
<link rel="stylesheet" href="/status/page.css">
</head>
<body>
<main id="main"><div class="top"><h1>${REFUSED[status] ?? "This did not work"}</h1></div><p>${message}</p><p><a href="${PATH}">Operator</a> · <a href="/">Status page</a></p></main>
</body>
</html>
`.html;
}

const REFUSED: Readonly<Record<number, string>> = {
  401: "Log in with the admin password",
  403: "Not allowed",
  404: "No such route",
  429: "Wait",
};
