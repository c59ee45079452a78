/** The frame of the pages, and the small parts that many of them share. */
import type { Moment, Status } from "../observe/status/status.ts";
import { durationText, type Tone } from "../observe/status/wording.ts";
import { type Html, html } from "./html.ts";

const REFRESH_SECONDS = 10;

/** The tones that have an icon of the page: assets/icon-*.svg. */
export type IconTone = "good" | "warn" | "bad";

interface Layout {
  readonly status: Pick<Status, "summary" | "instance" | "time" | "version">;
  readonly tone: IconTone;
  /** The path of the stream of changes. Without one the page does not refresh itself unless its script does. */
  readonly live: string | null;
  readonly nav: Html;
  readonly body: Html;
}

export function layout({ status, tone, live, nav, body }: Layout): string {
  const again = html`<noscript><meta http-equiv="refresh" content="${REFRESH_SECONDS}"></noscript>`;
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>${status.summary} · sparekey</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
${live && again}
<link rel="icon" type="image/svg+xml" href="/status/icon-${tone}.svg">
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

export function ago({ at, seconds }: Moment): Html {
  return html`<time datetime="${at}" title="${at}">${durationText(seconds)}</time>`;
}

export function timeOfDay(iso: string): string {
  return iso.slice(11, 19);
}

export function icon(tone: Tone | "hand"): Html {
  return html`<svg class="icon tone-${tone}" viewBox="0 0 16 16" aria-hidden="true" focusable="false"><use href="#i-${tone}"/></svg>`;
}

/** Each tone has a shape of its own, so that nobody has to tell colours apart. */
const SPRITE = html`<svg class="sprite" width="0" height="0" aria-hidden="true" focusable="false"><defs>
<symbol id="i-good" viewBox="0 0 16 16"><circle cx="8" cy="8" r="7"/><path class="cut" d="M4.5 8.2l2.4 2.4 4.6-5"/></symbol>
<symbol id="i-bad" viewBox="0 0 16 16"><path d="M8 .8 15.6 14.5H.4z"/><path class="cut" d="M8 5.5v4.5M8 12v.6"/></symbol>
<symbol id="i-warn" viewBox="0 0 16 16"><path d="M8 .5 15.5 8 8 15.5.5 8z"/><path class="cut" d="M8 4.3v4.5M8 11v.6"/></symbol>
<symbol id="i-plain" viewBox="0 0 16 16"><circle class="ring" cx="8" cy="8" r="5.5"/></symbol>
<symbol id="i-hand" viewBox="0 0 16 16"><rect x="1" y="1" width="14" height="14" rx="3"/><path class="cut" d="M5 11V7m3 4V5m3 6V8"/></symbol>
<pattern id="hatch" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)"><rect class="hatch-under" width="6" height="6"/><rect class="hatch-over" width="3.5" height="6"/></pattern>
</defs></svg>`;
