/**
 * The status page: one look must say what is broken, since when, who is let in and how. Made here, so that it
 * works without a script; with one, the sections that changed come as they are made here again.
 */
import type { Quantile } from "../observe/status/history.ts";
import type { EventStatus, Moment, RouteStatus, RouteStatusState, Status } from "../observe/status/status.ts";
import { counted, durationText, numberText, type Tone } from "../observe/status/wording.ts";
import { chartOf } from "./chart.ts";
import { type Html, type HtmlPart, html } from "./html.ts";

/** A part of the page that is sent again when it has changed. */
export interface Section {
  readonly id: string;
  readonly html: string;
}

export interface PageOptions {
  /** Whether anybody may change something here. */
  readonly isOpen: boolean;
}

const REFRESH_SECONDS = 10;
const SHOWN_EVENTS = 10;
const CARDS_AT_A_LOOK = 4;

const WORDS: Readonly<Record<RouteStatusState, { readonly word: string; readonly tone: Tone }>> = {
  answering: { word: "Answering", tone: "good" },
  idle: { word: "Idle", tone: "plain" },
  errors: { word: "Errors", tone: "warn" },
  fallback: { word: "Fallback", tone: "bad" },
  recovering: { word: "Recovering", tone: "warn" },
};

export function statusPage(status: Status, { isOpen }: PageOptions): string {
  const operator = isOpen
    ? html`<a href="/operator">Operator</a>`
    : html`<span class="soft">Read only: no <code>admin.htpasswd</code></span>`;
  const [top, ...others] = statusSections(status);
  const timeline = others.pop();
  return layout({
    status,
    live: "/status/live",
    refresh: true,
    nav: operator,
    body: html`${raw(top)}
<h2 class="hidden">Routes</h2>
<div class="cards">${others.map(raw)}</div>
${raw(timeline)}`,
  });
}

/** In the order of the page. */
export function statusSections(status: Status): readonly Section[] {
  return [
    { id: "top", html: heading(status).html },
    ...status.routes.map((route) => ({ id: cardId(route.name), html: card(route, null).html })),
    { id: "timeline", html: timeline(status.events, status.time).html },
  ];
}

export interface Layout {
  readonly status: Status;
  /** Where the page's script hears of changes; null: it asks for the page again. */
  readonly live: string | null;
  /** Whether a browser without scripts asks again by itself. */
  readonly refresh: boolean;
  readonly nav: Html;
  readonly body: Html;
}

export function layout({ status, live, refresh, nav, body }: Layout): string {
  const again = html`<noscript><meta http-equiv="refresh" content="${REFRESH_SECONDS}"></noscript>`;
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>${status.summary} · sparekey</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
${refresh ? again : null}
<link rel="icon" type="image/svg+xml" href="/status/icon-${worstTone(status)}.svg">
<link rel="stylesheet" href="/status/page.css">
<script type="module" src="/status/page.js"></script>
</head>
<body data-live="${live ?? ""}">
${SPRITE}
<a class="skip" href="#main">Skip to the routes</a>
<header class="bar">
<p class="brand"><svg class="key" viewBox="0 0 24 24" aria-hidden="true"><path d="M14 3a7 7 0 0 0-6.6 9.3L2 17.7V22h5v-2.5h2.5V17H12l1.2-1.2A7 7 0 1 0 14 3zm2.5 6.5a2 2 0 1 1 0-4 2 2 0 0 1 0 4z"/></svg>sparekey <span class="instance">${status.instance}</span></p>
<p class="live" id="live"><span class="dot"></span><span id="live-text">As of ${timeOfDay(status.time)} UTC</span></p>
<nav aria-label="Pages">${nav}</nav>
</header>
<p class="hidden" role="status" id="announce"></p>
<main id="main">
${body}
</main>
<footer>
<p>sparekey ${status.version}. Times are UTC.</p>
<ul><li><a href="/status.json">status.json</a></li><li><a href="/metrics">metrics</a></li><li><a href="/readyz">readyz</a></li><li><a href="/healthz">healthz</a></li></ul>
</footer>
</body>
</html>
`.html;
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

/** Where one look does not see all cards. */
function troubles({ routes }: Status): Html | null {
  const some = routes.filter(({ state }) => state !== "answering" && state !== "idle");
  if (routes.length <= CARDS_AT_A_LOOK || some.length === 0) return null;
  return html`<ul class="troubles">${some.map(
    ({ name, state, summary }) =>
      html`<li>${icon(WORDS[state].tone)}<span><a href="#${cardId(name)}">${name}</a> ${summary}</span></li>`,
  )}</ul>`;
}

function workersText(serving: number, wanted: number, silent: number): Html {
  const all = html`${serving} of ${counted(wanted, "worker")} ${serving === 1 ? "serves" : "serve"}`;
  if (serving === wanted && silent === 0) return all;
  return html`<strong class="tone-bad">${all}${silent === 0 ? null : `, ${silent} silent`}</strong>`;
}

/** `more`: what stands at its end. */
export function card(route: RouteStatus, more: Html | null): Html {
  const { word, tone } = WORDS[route.state];
  const { override, warnings } = route;
  const isDown = route.state === "fallback";
  // The word beside its name says it all.
  const isCalm = route.state === "answering";
  const id = cardId(route.name);
  return html`<article class="card" id="${id}" data-state="${route.state}" data-tone="${tone}" data-name="${route.name}" data-word="${word}" aria-labelledby="name-of-${id}">
<div class="card-head"><h3 id="name-of-${id}">${route.name} <small>${route.mode}</small></h3><p class="badge tone-${tone}">${icon(tone)}${word}${isCalm ? html` <small>for ${ago(route.since)}</small>` : null}</p></div>
${isCalm ? null : html`<p class="summary">${route.summary}</p>`}
<p class="lets-in"><span>${isDown ? "Who gets in:" : "If it fails:"}</span> ${route.letsIn}</p>
${
  override &&
  html`<p class="note tone-hand">${icon("hand")}<span>By hand to <strong>${override.mode}</strong> until ${timeOfDay(override.until.at)}, for ${durationText(override.until.seconds)} more${override.reason === null ? null : html`: <q><bdi>${override.reason}</bdi></q>`}</span></p>`
}
${warnings.map((warning) => html`<p class="note tone-warn">${icon("warn")}<span>${warning}</span></p>`)}
${route.state === "idle" ? null : figure(route)}
<dl class="figures">${figures(route)}</dl>
<details id="counts-of-${id}"><summary>Counts since the start</summary>
<div class="tables">${countsTable("Checks, by who decided", Object.entries(route.checks))}${
    route.htpasswdUsers === null
      ? null
      : countsTable("Emergency logins", Object.entries(route.emergencyLogins).map(loginRow))
  }</div></details>
${more}
</article>`;
}

function figure({ recent, fallback }: RouteStatus): Html {
  const { svg, most, total, upstream, fallbacks, failed } = chartOf(recent);
  const legend: HtmlPart[] = [
    html`<li><span class="swatch by-upstream"></span>${numberText(upstream)} by the upstream</li>`,
  ];
  if (fallbacks > 0 || fallback !== null) {
    legend.push(
      html`<li><svg class="swatch" viewBox="0 0 12 12" aria-hidden="true"><rect width="12" height="12" fill="url(#hatch)"/></svg>${numberText(fallbacks)} by fallback</li>`,
    );
  }
  if (failed > 0)
    legend.push(html`<li><span class="swatch failed"></span>${numberText(failed)} with an error</li>`);
  return html`<figure>
<div class="plot">${svg}</div>
<p class="axis" aria-hidden="true"><span>15 min ago</span><span>peak ${rateText(most, recent.bucketSeconds)}</span><span>now</span></p>
<figcaption><span>${counted(total, "check")} in 15 minutes</span><ul class="legend">${legend}</ul></figcaption>
</figure>`;
}

function rateText(count: number, seconds: number): string {
  const rate = count / seconds;
  return `${rate >= 10 ? numberText(Math.round(rate)) : Math.round(rate * 10) / 10}/s`;
}

function figures(route: RouteStatus): readonly Html[] {
  const { breaker, lastFault, recent, emergencyLogins, htpasswdUsers } = route;
  const { p50, p99 } = recent.latency;
  const open = breaker.since === null ? "" : `for ${durationText(breaker.since.seconds)}`;
  const users = htpasswdUsers !== null && [
    figureOf("Emergency logins", numberText(emergencyLogins.ok), `${numberText(emergencyLogins.bad)} wrong`),
    figureOf("Users", numberText(htpasswdUsers), null),
  ];
  return [
    figureOf("Breaker", breaker.state, open),
    figureOf(
      "Last fault",
      lastFault?.reason ?? "none",
      lastFault && `${durationText(lastFault.seconds)} ago`,
    ),
    figureOf("Latency", quantileText(p50), p99 && `p99 ${quantileText(p99)}`),
    ...(users || []),
  ];
}

function figureOf(name: string, value: string, more: string | null): Html {
  return html`<div><dt>${name}</dt><dd>${value}${more ? html` <small>${more}</small>` : null}</dd></div>`;
}

const LOGINS: Readonly<Record<string, string>> = {
  ok: "good",
  missing: "no password came",
  bad: "wrong",
  limited: "too many",
  forbidden: "not from there",
};

function loginRow([result, count]: readonly [string, number]): readonly [string, number] {
  return [LOGINS[result] ?? result, count];
}

function countsTable(caption: string, rows: readonly (readonly [string, number])[]): Html {
  return html`<table><caption>${caption}</caption><tbody>${rows.map(
    ([name, count]) => html`<tr><th scope="row">${name}</th><td>${numberText(count)}</td></tr>`,
  )}</tbody></table>`;
}

/** A bound, and said to be one. */
export function quantileText(quantile: Quantile): string {
  if (quantile === null) return "–";
  return "atMost" in quantile ? `≤ ${secondsText(quantile.atMost)}` : `> ${secondsText(quantile.moreThan)}`;
}

function secondsText(seconds: number): string {
  return seconds < 1 ? `${Math.round(seconds * 10_000) / 10} ms` : `${seconds} s`;
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
  const whose = worker === null ? null : html` <small>worker ${worker}</small>`;
  return html`<li data-tone="${tone}"><time datetime="${at}" title="${at}, ${durationText(seconds)} ago">${clockText(at, time)}</time>${icon(tone)}<span>${route && html`<b>${route}</b> `}${text}${whose}</span></li>`;
}

function ago({ at, seconds }: Moment): Html {
  return html`<time datetime="${at}" title="${at}">${durationText(seconds)}</time>`;
}

/** Of another day with its date. */
function clockText(at: string, time: string): string {
  const clock = timeOfDay(at);
  return at.slice(0, 10) === time.slice(0, 10) ? clock : `${at.slice(5, 10)} ${clock.slice(0, 5)}`;
}

export function timeOfDay(iso: string): string {
  return iso.slice(11, 19);
}

function worstTone({ readiness, routes, config }: Status): "good" | "warn" | "bad" {
  const tones = new Set<Tone>(routes.map(({ state }) => WORDS[state].tone));
  if (tones.has("bad")) return "bad";
  if (tones.has("warn") || readiness !== "ready" || config.lastReload === "refused") return "warn";
  return routes.some(({ warnings }) => warnings.length > 0) ? "warn" : "good";
}

/**
 * Names are letters, digits, "_" and "-" by the config's schema. What stands inside a card has an id that begins in
 * another way: it must not be that of a route with a longer name.
 */
export function cardId(name: string): string {
  return `route-${name}`;
}

function raw(section: Section | undefined): Html {
  return { html: section?.html ?? "" };
}

export function icon(tone: Tone | "hand"): Html {
  return html`<svg class="icon tone-${tone}" viewBox="0 0 16 16" aria-hidden="true" focusable="false"><use href="#i-${tone}"/></svg>`;
}

/** A shape for each tone, so that no colour has to be told from another. */
const SPRITE = html`<svg class="sprite" width="0" height="0" aria-hidden="true" focusable="false"><defs>
<symbol id="i-good" viewBox="0 0 16 16"><circle cx="8" cy="8" r="7"/><path class="cut" d="M4.5 8.2l2.4 2.4 4.6-5"/></symbol>
<symbol id="i-bad" viewBox="0 0 16 16"><path d="M8 .8 15.6 14.5H.4z"/><path class="cut" d="M8 5.5v4.5M8 12v.6"/></symbol>
<symbol id="i-warn" viewBox="0 0 16 16"><path d="M8 .5 15.5 8 8 15.5.5 8z"/><path class="cut" d="M8 4.3v4.5M8 11v.6"/></symbol>
<symbol id="i-plain" viewBox="0 0 16 16"><circle class="ring" cx="8" cy="8" r="5.5"/></symbol>
<symbol id="i-hand" viewBox="0 0 16 16"><rect x="1" y="1" width="14" height="14" rx="3"/><path class="cut" d="M5 11V7m3 4V5m3 6V8"/></symbol>
<pattern id="hatch" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)"><rect class="hatch-under" width="6" height="6"/><rect class="hatch-over" width="3.5" height="6"/></pattern>
</defs></svg>`;
