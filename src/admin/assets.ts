/** What the pages of the admin listener load: a style, a script and icons of their own. */

export const PAGE_CSS = `:root {
  color-scheme: light dark;
  --ground: #f5f5f2; --card: #fff; --ink: #1d2024; --soft: #5c626b; --line: #dfdfd9; --field: #fff;
  --good: #1a7348; --warn: #8f5f00; --bad: #b3241c; --plain: #6a7078; --hand: #5645b0;
  --bad-wash: #fdf1ef; --warn-wash: #fdf6e6; --hand-wash: #f2f0fc;
  --bars: #a9b6c4; --cut: #fff; --focus: #1456c0;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ground: #121418; --card: #1a1d22; --ink: #e9e7e2; --soft: #a3a9b2; --line: #2e333b; --field: #121418;
    --good: #63c592; --warn: #e3b54f; --bad: #ff8a80; --plain: #98a0aa; --hand: #b3a7f7;
    --bad-wash: #2a1c1c; --warn-wash: #27221a; --hand-wash: #211f30;
    --bars: #56647a; --cut: #16181c; --focus: #8ab4f8;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0 auto; padding: 0 clamp(1rem, 4vw, 2.5rem) 2rem; max-width: 82rem;
  background: var(--ground); color: var(--ink);
  font: 1rem/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif;
  font-variant-numeric: tabular-nums; -webkit-text-size-adjust: 100%;
}
h1, h2, h3, p, ul, ol, dl, dd, figure, table { margin: 0; padding: 0; }
ul, ol { list-style: none; }
a { color: inherit; text-underline-offset: .2em; text-decoration-color: var(--soft); }
a:hover { text-decoration-color: currentColor; }
:focus-visible { outline: 3px solid var(--focus); outline-offset: 2px; border-radius: 3px; }
small { font-size: .85em; color: var(--soft); }
code { font: .92em ui-monospace, "DejaVu Sans Mono", monospace; }
.soft { color: var(--soft); }
.hidden, .skip:not(:focus) {
  position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap;
}
.skip:focus { position: absolute; top: .5rem; left: .5rem; padding: .5rem 1rem; background: var(--card); z-index: 1; }
.sprite { position: absolute; }

.bar {
  display: flex; flex-wrap: wrap; align-items: center; gap: .25rem 1.25rem;
  padding: .8rem 0; border-bottom: 1px solid var(--line); font-size: .9rem;
}
.brand { font-weight: 650; letter-spacing: .01em; }
.key { width: 1.05em; height: 1.05em; margin-right: .4em; vertical-align: -.15em; fill: currentColor; }
.instance { margin-left: .35em; font-weight: 400; color: var(--soft); overflow-wrap: anywhere; }
.live { margin-left: auto; color: var(--soft); white-space: nowrap; }
.dot { display: inline-block; width: .55em; height: .55em; margin-right: .5em; border: 2px solid var(--plain); border-radius: 50%; }
.is-live .dot { background: var(--good); border-color: var(--good); }
.is-late { color: var(--bad); font-weight: 600; }
.is-late .dot { border-color: var(--bad); border-radius: 0; }

.top { padding: clamp(1.4rem, 4vw, 2.6rem) 0 clamp(1.2rem, 3vw, 2rem); }
h1 { font-size: clamp(1.55rem, 4.4vw, 2.5rem); line-height: 1.15; font-weight: 640; letter-spacing: -.018em; text-wrap: balance; }
h1 .icon { width: .82em; height: .82em; margin-right: .42em; vertical-align: -.06em; }
.facts { display: flex; flex-wrap: wrap; gap: .1rem 1.6rem; margin-top: .7rem; color: var(--soft); font-size: .95rem; }
.troubles { margin-top: 1rem; }
.troubles li { display: flex; gap: .6em; padding: .15rem 0; }
.troubles .icon { margin-top: .3em; }

.icon { width: 1em; height: 1em; flex: none; fill: currentColor; vertical-align: -.12em; }
.cut { fill: none; stroke: var(--cut); stroke-width: 1.8; stroke-linecap: round; stroke-linejoin: round; }
.ring { fill: none; stroke: currentColor; stroke-width: 2; }
.tone-good { color: var(--good); } .tone-warn { color: var(--warn); } .tone-bad { color: var(--bad); }
.tone-plain { color: var(--plain); } .tone-hand { color: var(--hand); }

.cards { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 25rem), 1fr)); gap: 1.1rem; align-items: start; }
.card {
  min-width: 0; padding: 1.15rem 1.3rem 1.1rem; background: var(--card);
  border: 1px solid var(--line); border-top: 3px solid var(--plain); border-radius: 7px;
}
.card[data-tone=good] { border-top-color: var(--good); }
.card[data-tone=warn] { border-top-color: var(--warn); }
.card[data-tone=bad] { border-top-color: var(--bad); }
.card-head { display: flex; flex-wrap: wrap; align-items: baseline; justify-content: space-between; gap: 0 1rem; }
h3 { font-size: 1.02rem; font-weight: 640; overflow-wrap: anywhere; }
h3 small { margin-left: .3em; font-weight: 400; }
.badge small { font-weight: 400; }
.badge { display: flex; align-items: center; gap: .45em; font-size: .9rem; font-weight: 620; }
.summary { margin-top: .5rem; font-size: 1.16rem; line-height: 1.35; font-weight: 520; text-wrap: pretty; }
.lets-in { margin-top: .3rem; font-size: .95rem; text-wrap: pretty; }
.lets-in span { color: var(--soft); }
.note { display: flex; gap: .55em; margin-top: .7rem; padding: .5rem .7rem; border-radius: 5px; font-size: .93rem; background: var(--warn-wash); }
.note .icon { margin-top: .25em; }
.note span { color: var(--ink); min-width: 0; overflow-wrap: anywhere; }
.note.tone-hand { background: var(--hand-wash); }
.note.tone-bad { background: var(--bad-wash); }

figure { margin-top: 1rem; }
.plot { height: 4.2rem; border-bottom: 1px solid var(--line); }
.bars { display: block; width: 100%; height: 100%; }
.bars path { shape-rendering: crispEdges; }
path.by-upstream { fill: var(--bars); } path.failed { fill: var(--warn); }
.hatch-under { fill: var(--bad-wash); } .hatch-over { fill: var(--bad); }
.axis { display: flex; justify-content: space-between; gap: .5rem; padding-top: .2rem; font-size: .78rem; color: var(--soft); }
figcaption { display: flex; flex-wrap: wrap; gap: .1rem 1.1rem; margin-top: .45rem; font-size: .88rem; }
.legend { display: flex; flex-wrap: wrap; gap: .1rem 1rem; color: var(--soft); }
.swatch { display: inline-block; width: .75em; height: .75em; margin-right: .45em; vertical-align: -.05em; }
span.by-upstream { background: var(--bars); } span.failed { background: var(--warn); }

.figures { display: grid; grid-template-columns: repeat(auto-fill, minmax(8.2rem, 1fr)); gap: .7rem 1rem; margin-top: 1rem; padding-top: .9rem; border-top: 1px solid var(--line); }
dt { font-size: .8rem; color: var(--soft); }
dd { font-weight: 560; overflow-wrap: anywhere; }
dd small { font-weight: 400; white-space: nowrap; }
details { margin-top: .8rem; font-size: .93rem; }
summary { width: fit-content; color: var(--soft); cursor: pointer; }
.tables { display: flex; flex-wrap: wrap; gap: .8rem 2.5rem; padding-top: .6rem; }
table { border-collapse: collapse; font-size: .93rem; }
caption { padding-bottom: .2rem; text-align: left; font-weight: 600; }
th { padding: .12rem 1.5rem .12rem 0; text-align: left; font-weight: 400; color: var(--soft); }
td { text-align: right; }

h2 { font-size: 1.02rem; font-weight: 640; }
.timeline, .panel { margin-top: 2rem; }
.timeline ol { margin-top: .5rem; }
.timeline li { display: grid; grid-template-columns: 6.2rem 1.1rem 1fr; gap: 0 .5rem; padding: .34rem 0; border-top: 1px solid var(--line); font-size: .95rem; }
.timeline li .icon { margin-top: .27em; width: .85em; height: .85em; }
.timeline time { color: var(--soft); white-space: nowrap; }
.timeline li span { min-width: 0; overflow-wrap: anywhere; }
.timeline b { font-weight: 620; }

footer { display: flex; flex-wrap: wrap; justify-content: space-between; gap: .3rem 2rem; margin-top: 2.4rem; padding-top: .9rem; border-top: 1px solid var(--line); font-size: .88rem; color: var(--soft); }
footer ul { display: flex; flex-wrap: wrap; gap: .3rem 1.2rem; }

form { display: flex; flex-wrap: wrap; gap: .6rem .8rem; align-items: end; }
.acts { display: grid; grid-template-columns: minmax(0, 1fr); gap: .9rem; margin-top: 1rem; padding-top: .9rem; border-top: 1px solid var(--line); }
.acts p { min-width: 0; overflow-wrap: anywhere; }
.acts form.wide { display: grid; grid-template-columns: minmax(0, 2fr) minmax(0, 1fr); }
form.wide button { justify-self: start; grid-column: 1 / -1; }
.buttons { display: flex; flex-wrap: wrap; gap: .6rem; }
form.wide .grow { grid-column: 1 / -1; }
label { display: block; margin-bottom: .15rem; font-size: .82rem; color: var(--soft); }
input, select, button { font: inherit; color: var(--ink); border-radius: 5px; border: 1px solid var(--plain); min-height: 2.4rem; }
input, select { width: 100%; padding: .25rem .5rem; background: var(--field); font-size: 1rem; }
button { padding: .25rem .9rem; background: var(--card); font-weight: 560; cursor: pointer; }
button:hover { border-color: var(--ink); }
button.main { background: var(--ink); border-color: var(--ink); color: var(--ground); }
.top + .panel, .note + .panel { margin-top: 0; }
.panel .buttons { margin-top: .6rem; }

@media (max-width: 30rem) {
  .live { margin-left: 0; }
  .bar nav { margin-left: auto; }
  .card { padding: 1rem; }
  .timeline li { grid-template-columns: 1.1rem 1fr; }
  .timeline time { grid-column: 2; font-size: .85rem; }
  .timeline li .icon { grid-row: 2; grid-column: 1; }
  .timeline li span { grid-row: 2; grid-column: 2; }
}
@media (prefers-reduced-motion: no-preference) {
  .is-live .dot { animation: beat 3s ease-in-out infinite; }
  @keyframes beat { 50% { opacity: .35; } }
}
@media (forced-colors: active) {
  .by-upstream, .by-fallback, .failed, .hatch-over { forced-color-adjust: none; }
}
@media print { .bar nav, .live, .skip, .acts, footer { display: none; } }
`;

/**
 * Sections come as the server makes them and are laid over those that are there, so that focus, open details and
 * what somebody is typing stay. Without events the page is asked for again, and an old page says that it is old.
 */
export const PAGE_JS = `"use strict";
(() => {
  const LATE_MS = 15000, ASK_MS = 10000, OPERATOR_ASK_MS = 2000;
  const live = document.getElementById("live"), liveText = document.getElementById("live-text");
  const announce = document.getElementById("announce");
  const path = document.body.dataset.live;
  let heard = Date.now(), mode = "", timer = 0;

  const show = (kind, text) => {
    live.className = "live" + (kind ? " " + kind : "");
    if (liveText.textContent !== text) liveText.textContent = text;
  };
  const parse = (text) => new DOMParser().parseFromString(text, "text/html");
  const isSame = (a, b) => a.nodeType === b.nodeType && a.nodeName === b.nodeName && a.id === b.id;
  const lay = (from, to) => {
    if (from.nodeType !== 1) {
      if (from.nodeValue !== to.nodeValue) from.nodeValue = to.nodeValue;
      return;
    }
    for (const { name } of [...from.attributes])
      if (name !== "open" && !to.hasAttribute(name)) from.removeAttribute(name);
    for (const { name, value } of to.attributes)
      if (name !== "open" && from.getAttribute(name) !== value) from.setAttribute(name, value);
    const fresh = [...to.childNodes], kept = new Set(fresh.map(({ id }) => id).filter(Boolean));
    let next = from.firstChild;
    for (const node of fresh) {
      let same = next;
      while (same && !isSame(same, node)) same = kept.has(same.id) ? null : same.nextSibling;
      if (!same) {
        from.insertBefore(node, next);
        continue;
      }
      while (next !== same) next = gone(next);
      lay(same, node);
      next = same.nextSibling;
    }
    while (next) next = gone(next);
  };
  const gone = (node) => {
    const next = node.nextSibling;
    node.remove();
    return next;
  };
  const states = () => new Map([...document.querySelectorAll(".card")].map((card) => [card.dataset.name, card.dataset.word]));
  const change = (work) => {
    const before = states();
    work();
    const news = [...states()].filter(([name, word]) => before.has(name) && before.get(name) !== word);
    if (news.length > 0) announce.textContent = news.map(([name, word]) => name + ": " + word).join(", ");
    const top = document.getElementById("top");
    if (!top) return;
    document.title = top.querySelector("h1").textContent + " \\u00b7 sparekey";
    const href = "/status/icon-" + top.dataset.tone + ".svg", icon = document.querySelector("link[rel=icon]");
    if (icon.getAttribute("href") !== href) icon.setAttribute("href", href);
  };
  const take = (sections) => change(() => {
    for (const [id, text] of sections) {
      const from = document.getElementById(id), to = parse(text).body.firstElementChild;
      if (from && to) lay(from, to);
    }
  });
  const shown = () => [...document.querySelectorAll("#top, .card, #timeline")].map(({ id }) => id);
  const alive = (text) => {
    heard = Date.now();
    show(mode === "live" ? "is-live" : "", text);
  };
  const again = async () => {
    clearTimeout(timer);
    let wait = path ? ASK_MS : OPERATOR_ASK_MS, isDone = false;
    try {
      const reply = await fetch(location.pathname, { cache: "no-store" });
      if (reply.status === 401 || reply.status === 403) return show("is-late", "Log in again");
      if (!reply.ok) throw new Error();
      const page = parse(await reply.text());
      change(() => lay(document.querySelector("main"), page.querySelector("main")));
      isDone = true;
      const time = page.getElementById("live-text").textContent.replace("As of ", "");
      alive(mode === "live" ? "Live" : (path ? "Not live, as of " : "As of ") + time);
    } catch {
      wait = ASK_MS;
    }
    if (mode === "live" ? !isDone : !document.hidden) timer = setTimeout(again, wait);
  };
  const follow = () => {
    if (!path) return void again();
    const events = new EventSource(path);
    events.addEventListener("all", ({ data }) => {
      mode = "live";
      const all = JSON.parse(data);
      if (all.map(([id]) => id).join() !== shown().join()) return void again();
      take(all);
      alive("Live");
    });
    events.addEventListener("sections", ({ data }) => {
      take(JSON.parse(data));
      alive("Live");
    });
    events.addEventListener("beat", () => alive("Live"));
    events.addEventListener("whole", () => void again());
    events.onerror = () => {
      mode = "";
      show("", "Connecting again");
      if (events.readyState !== EventSource.CLOSED) return;
      void again();
      setTimeout(follow, 30000);
    };
    addEventListener("pagehide", () => events.close(), { once: true });
  };
  setInterval(() => {
    const age = Date.now() - heard;
    if (age > LATE_MS && !document.hidden) show("is-late", "No answer for " + Math.round(age / 1000) + " s: this page is old");
  }, 1000);
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden && mode !== "live") void again();
  });
  addEventListener("pageshow", ({ persisted }) => persisted && location.reload());
  follow();
})();
`;

const COLOURS = { good: "#2b8a5b", warn: "#d99a1c", bad: "#d43a2f" } as const;
const SHAPES = {
  good: '<circle cx="8" cy="8" r="7.5" fill="C"/><path d="M4.5 8.2l2.4 2.4 4.6-5" fill="none" stroke="#fff" stroke-width="2"/>',
  warn: '<path d="M8 .3 15.7 8 8 15.7.3 8z" fill="C"/><path d="M8 4.3v4.5M8 10.6v1.6" stroke="#fff" stroke-width="2"/>',
  bad: '<path d="M8 .5 16 15H0z" fill="C"/><path d="M8 5.5v4.5M8 11.5v1.6" stroke="#fff" stroke-width="2"/>',
} as const;

export type IconTone = keyof typeof COLOURS;

export function iconSvg(tone: IconTone): string {
  const shape = SHAPES[tone].replace("C", COLOURS[tone]);
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16">${shape}</svg>`;
}
