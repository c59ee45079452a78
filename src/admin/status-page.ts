/**
 * The status page says at one look what is broken, since when, and which people are let in and how. It is made here,
 * so that it works without a script. With one, sections that changed are made here again and sent.
 */
import type { EventStatus, Status } from "../observe/status/status.ts";
import { counted, durationText, type Tone } from "../observe/status/wording.ts";
import { card, cardId, STATES } from "./card.ts";
import { type Html, html } from "./html.ts";
import { ago, type IconTone, icon, layout, timeOfDay } from "./layout.ts";

/** A part of the page that is sent again when it has changed. */
export interface Section {
  readonly id: string;
  readonly html: string;
}

interface PageOptions {
  /** Whether an admin password is set, so that an operator can change something. */
  readonly isOpen: boolean;
}

const SHOWN_EVENTS = 10;
const CARDS_AT_A_LOOK = 4;

export function statusPage(status: Status, { isOpen }: PageOptions): string {
  const operator = isOpen
    ? html`<a href="/operator">Operator</a>`
    : html`<span class="soft">Read only: no <code>admin.htpasswd</code></span>`;
  const [top, ...others] = statusSections(status);
  const timeline = others.pop();
  return layout({
    status,
    tone: worstTone(status),
    live: "/status/live",
    nav: operator,
    body: html`${raw(top)}
<h2 class="hidden">Routes</h2>
<div class="cards">${others.map(raw)}</div>
${raw(timeline)}`,
  });
}

/** The sections have the order of the page. */
export function statusSections(status: Status): readonly Section[] {
  return [
    { id: "top", html: heading(status).html },
    ...status.routes.map((route) => ({ id: cardId(route.name), html: card(route, null).html })),
    { id: "timeline", html: timeline(status.events, status.time).html },
  ];
}

export function heading(status: Status): Html {
  const { config, workers, started } = status;
  const refused = config.lastReload === "refused";
  return html`<div class="top" id="top" data-tone="${worstTone(status)}">
<h1>${icon(worstTone(status))}${status.summary}</h1>
<ul class="facts">
<li>${refused ? html`<strong class="tone-bad">The last config was refused</strong>, the one in use is` : "Config is"} ${ago(config.since)} old</li>
${workers && html`<li>${workersText(workers.serving, workers.wanted, workers.silent)}</li>`}
<li>Started ${ago(started)} ago</li>
</ul>
${troubles(status)}
</div>`;
}

/** Lists the broken routes where there are too many cards to see at once. */
function troubles({ routes }: Status): Html | null {
  const some = routes.filter(({ state }) => state !== "answering" && state !== "idle");
  if (routes.length <= CARDS_AT_A_LOOK || some.length === 0) return null;
  return html`<ul class="troubles">${some.map(
    ({ name, state, summary }) =>
      html`<li>${icon(STATES[state].tone)}<span><a href="#${cardId(name)}">${name}</a> ${summary}</span></li>`,
  )}</ul>`;
}

function workersText(serving: number, wanted: number, silent: number): Html {
  const all = html`${serving} of ${counted(wanted, "worker")} ${serving === 1 ? "serves" : "serve"}`;
  if (serving === wanted && silent === 0) return all;
  return html`<strong class="tone-bad">${all}${silent === 0 ? null : `, ${silent} silent`}</strong>`;
}

export interface Line extends Pick<EventStatus, "at" | "seconds" | "route" | "worker" | "tone" | "text"> {}

export function timeline(events: readonly Line[], time: string): Html {
  const lines = (some: readonly Line[]): Html => html`<ol>${some.map((event) => line(event, time))}</ol>`;
  const earlier = events.slice(SHOWN_EVENTS);
  return html`<section class="timeline" id="timeline" aria-labelledby="timeline-name">
<h2 id="timeline-name">What happened</h2>
${lines(events.slice(0, SHOWN_EVENTS))}
${earlier.length > 0 ? html`<details id="earlier"><summary>${counted(earlier.length, "earlier event")}</summary>${lines(earlier)}</details>` : null}
</section>`;
}

function line({ at, seconds, route, worker, tone, text }: Line, time: string): Html {
  const origin = worker === null ? null : html` <small>worker ${worker}</small>`;
  return html`<li data-tone="${tone}"><time datetime="${at}" title="${at}, ${durationText(seconds)} ago">${clockText(at, time)}</time>${icon(tone)}<span>${route && html`<b>${route}</b> `}${text}${origin}</span></li>`;
}

/** An event of another day shows its date. */
export function clockText(at: string, time: string): string {
  const clock = timeOfDay(at);
  return at.slice(0, 10) === time.slice(0, 10) ? clock : `${at.slice(5, 10)} ${clock.slice(0, 5)}`;
}

export function worstTone({ readiness, routes, config }: Status): IconTone {
  const tones = new Set<Tone>(routes.map(({ state }) => STATES[state].tone));
  if (tones.has("bad")) return "bad";
  if (tones.has("warn") || readiness !== "ready" || config.lastReload === "refused") return "warn";
  return routes.some(({ warnings }) => warnings.length > 0) ? "warn" : "good";
}

function raw(section: Section | undefined): Html {
  return { html: section?.html ?? "" };
}
