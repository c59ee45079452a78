/** The status page with what only a logged-in user may see: upstream addresses, names, files, and forms to act. */
import type { EndpointReport } from "../observe/report.ts";
import { momentOf, type RouteStatus, type Status } from "../observe/status/status.ts";
import { counted, ejectionText } from "../observe/status/wording.ts";
import { type AdminActions, LONGEST_REASON } from "./actions.ts";
import { card, cardId } from "./card.ts";
import { type Html, html } from "./html.ts";
import { icon, layout, timeOfDay } from "./layout.ts";
import { clockText, heading, timeline, worstTone } from "./status-page.ts";

export const OPERATOR_PATH = "/operator";
const TTLS = ["10m", "30m", "1h", "4h", "12h", "24h"] as const;

/** The result of the last action of an operator. */
export interface Done {
  readonly at: number;
  readonly user: string;
  readonly text: string;
  readonly isGood: boolean;
}

interface Shown {
  readonly actions: AdminActions;
  readonly user: string;
  readonly token: string;
  readonly done: Done | null;
}

export function operatorPage(status: Status, { actions, user, token, done }: Shown): string {
  const now = Date.parse(status.time);
  const events = actions.timeline().map(({ at, worker, route, detail, tone }) => ({
    ...momentOf(at, now),
    route,
    worker,
    tone,
    text: detail,
  }));
  return layout({
    status,
    tone: worstTone(status),
    // A refresh without a script would lose what somebody is typing.
    live: null,
    nav: html`<span class="soft">${user}</span> · <a href="/">Status page</a>`,
    body: html`${heading(status)}
${done && doneNote(done)}
<section class="panel" id="config" aria-labelledby="config-name">
<h2 id="config-name">Config</h2>
<form class="buttons" method="post" action="${OPERATOR_PATH}/reload">${tokenField(token)}<button>Reload the config</button></form>
</section>
<h2 class="hidden">Routes</h2>
<div class="cards panel">${status.routes.map((route) => card(route, acts(route, actions, token, status.time)))}</div>
${timeline(events, status.time)}`,
  });
}

function doneNote({ at, user, text, isGood }: Done): Html {
  const tone = isGood ? "good" : "bad";
  const time = timeOfDay(new Date(at).toISOString());
  return html`<p class="note tone-${tone}" id="done">${icon(tone)}<span><strong>${time}</strong> ${user}: ${text}</span></p>`;
}

function acts(
  { name, override: current }: RouteStatus,
  actions: AdminActions,
  token: string,
  time: string,
): Html {
  const hidden = html`${tokenField(token)}<input type="hidden" name="route" value="${name}">`;
  const id = cardId(name);
  const addresses = actions.upstreamOf(name);
  const ejected = actions.endpointsOf(name).map((one) => ejectedLine(one, time));
  const end = html`<form method="post" action="${OPERATOR_PATH}/override">${hidden}<input type="hidden" name="mode" value="auto"><button class="main">End the override</button></form>`;
  return html`<section class="acts" aria-label="Actions for ${name}">
<p><span class="soft">${addresses.length > 1 ? counted(addresses.length, "upstream server") : "Upstream"}:</span> ${addresses.join(", ")}</p>
${ejected}
<div class="buttons">${current && end}<form method="post" action="${OPERATOR_PATH}/probe">${hidden}<button>Probe now</button></form></div>
<form class="wide" method="post" action="${OPERATOR_PATH}/override">${hidden}
<p><label for="mode-of-${id}">Override to</label><select id="mode-of-${id}" name="mode"><option value="fallback">fallback</option><option value="upstream">upstream</option></select></p>
<p><label for="ttl-of-${id}">For</label><select id="ttl-of-${id}" name="ttl">${TTLS.map((ttl) => html`<option>${ttl}</option>`)}</select></p>
<p class="grow"><label for="reason-of-${id}">Reason, shown to all</label><input id="reason-of-${id}" name="reason" maxlength="${LONGEST_REASON}" autocomplete="off"></p>
<button>${current ? "Replace the override" : "Override"}</button></form>
</section>`;
}

function ejectedLine({ endpoint, ejected }: EndpointReport, time: string): Html | null {
  if (ejected === null) return null;
  const since = clockText(new Date(ejected.since).toISOString(), time);
  return html`<p class="note tone-warn">${icon("warn")}<span>${ejectionText(endpoint, ejected, since)}</span></p>`;
}

function tokenField(token: string): Html {
  return html`<input type="hidden" name="token" value="${token}">`;
}

export function refusedPage(status: number, message: string): string {
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
<main id="main"><div class="top"><h1>${REFUSED[status] ?? "This did not work"}</h1></div><p>${message}</p><p><a href="${OPERATOR_PATH}">Operator</a> · <a href="/">Status page</a></p></main>
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
