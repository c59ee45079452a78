/** The part of the status page that shows one route. */
import type { Quantile } from "../observe/status/history.ts";
import type { RouteStatus, RouteStatusState } from "../observe/status/status.ts";
import { counted, durationText, endpointsText, numberText, type Tone } from "../observe/status/wording.ts";
import { chartOf } from "./chart.ts";
import { type Html, type HtmlPart, html } from "./html.ts";
import { ago, icon, timeOfDay } from "./layout.ts";

export const STATES: Readonly<Record<RouteStatusState, { readonly word: string; readonly tone: Tone }>> = {
  answering: { word: "Answering", tone: "good" },
  idle: { word: "Idle", tone: "plain" },
  errors: { word: "Errors", tone: "warn" },
  fallback: { word: "Fallback", tone: "bad" },
  recovering: { word: "Recovering", tone: "warn" },
};

/**
 * The config's schema allows letters, digits, "_" and "-" in names. Ids inside a card begin in other ways, because
 * another route could have the longer name.
 */
export function cardId(name: string): string {
  return `route-${name}`;
}

/** `more` is added at the end. */
export function card(route: RouteStatus, more: Html | null): Html {
  const { word, tone } = STATES[route.state];
  const { override, warnings } = route;
  const isDown = route.state === "fallback";
  // The badge beside the name says enough.
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
${endpointsLine(route)}
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

/** It is no warning: while an endpoint is not asked, the others answer. */
function endpointsLine({ endpoints }: RouteStatus): Html | null {
  const text = endpointsText(endpoints);
  return text === null ? null : html`<p class="endpoints">${text}</p>`;
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

/** A histogram knows only a bound, and the text says so. */
export function quantileText(quantile: Quantile): string {
  if (quantile === null) return "–";
  return "atMost" in quantile ? `≤ ${secondsText(quantile.atMost)}` : `> ${secondsText(quantile.moreThan)}`;
}

function secondsText(seconds: number): string {
  return seconds < 1 ? `${Math.round(seconds * 10_000) / 10} ms` : `${seconds} s`;
}
