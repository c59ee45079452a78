/**
 * Keeps an open page up to date. Sections come from the server and are laid over those on the page, so that focus, open
 * details and half-typed text stay. Without a stream the page is fetched again, and an old page says that it is old.
 */
const OLD_MS = 15_000;
const FETCH_MS = 10_000;
const OPERATOR_FETCH_MS = 2_000;
const RECONNECT_MS = 30_000;
const live = byId("live");
const liveText = byId("live-text");
const announce = byId("announce");
/** The operator page has no stream. */
const stream = document.body.dataset.live;
let heardAt = Date.now();
let isLive = false;
let timer = 0;

/** @param {string} id */
function byId(id) {
  return /** @type {HTMLElement} */ (document.getElementById(id));
}

/** @param {string} text */
function parse(text) {
  return new DOMParser().parseFromString(text, "text/html");
}

/** @param {string} kind @param {string} text */
function show(kind, text) {
  live.className = `live ${kind}`.trim();
  if (liveText.textContent !== text) liveText.textContent = text;
}

/** @param {string} text */
function showAlive(text) {
  heardAt = Date.now();
  show(isLive ? "is-live" : "", text);
}

/** @param {Node} node */
function idOf(node) {
  return node instanceof Element ? node.id : "";
}

/** @param {Node} from @param {Node} to */
function lay(from, to) {
  if (!(from instanceof Element && to instanceof Element)) {
    if (from.nodeValue !== to.nodeValue) from.nodeValue = to.nodeValue;
    return;
  }
  layAttributes(from, to);
  layChildren(from, to);
}

/** Leaves `open` as the reader set it. @param {Element} from @param {Element} to */
function layAttributes(from, to) {
  for (const { name } of [...from.attributes])
    if (name !== "open" && !to.hasAttribute(name)) from.removeAttribute(name);
  for (const { name, value } of to.attributes)
    if (name !== "open" && from.getAttribute(name) !== value) from.setAttribute(name, value);
}

/** @param {Element} from @param {Element} to */
function layChildren(from, to) {
  const nodes = [...to.childNodes];
  const keptIds = new Set(nodes.map(idOf).filter(Boolean));
  let next = from.firstChild;
  for (const node of nodes) {
    const same = findSame(next, node, keptIds);
    if (!same) {
      from.insertBefore(node, next);
      continue;
    }
    removeUntil(next, same);
    lay(same, node);
    next = same.nextSibling;
  }
  removeUntil(next, null);
}

/**
 * Looks from `first` on for the old form of `node`, and no further than a node that is needed later.
 * @param {ChildNode | null} first @param {Node} node @param {Set<string>} keptIds
 */
function findSame(first, node, keptIds) {
  for (let old = first; old; old = old.nextSibling) {
    if (old.nodeName === node.nodeName && idOf(old) === idOf(node)) return old;
    if (keptIds.has(idOf(old))) return null;
  }
  return null;
}

/** @param {ChildNode | null} first @param {ChildNode | null} end */
function removeUntil(first, end) {
  for (let node = first; node && node !== end; ) {
    const next = node.nextSibling;
    node.remove();
    node = next;
  }
}

function wordsByRoute() {
  /** @type {NodeListOf<HTMLElement>} */
  const cards = document.querySelectorAll(".card");
  return new Map([...cards].map(({ dataset }) => [dataset.name, dataset.word]));
}

/** Tells screen readers, the title and the icon what `work` changed. @param {() => void} work */
function change(work) {
  const before = wordsByRoute();
  work();
  const changed = [...wordsByRoute()].filter(([name, word]) => before.has(name) && before.get(name) !== word);
  if (changed.length > 0) announce.textContent = changed.map((pair) => pair.join(": ")).join(", ");
  const top = byId("top");
  if (!top) return;
  document.title = `${top.querySelector("h1")?.textContent} · sparekey`;
  const href = `/status/icon-${top.dataset.tone}.svg`;
  const icon = document.querySelector("link[rel=icon]");
  if (icon?.getAttribute("href") !== href) icon?.setAttribute("href", href);
}

/** @typedef {[id: string, html: string][]} Sections @param {Sections} sections */
function laySections(sections) {
  change(() => {
    for (const [id, text] of sections) {
      const from = byId(id);
      const to = parse(text).body.firstElementChild;
      if (from && to) lay(from, to);
    }
  });
}

async function fetchPage() {
  const reply = await fetch(location.pathname, { cache: "no-store" });
  if (reply.status === 401 || reply.status === 403) return "locked";
  if (!reply.ok) return "failed";
  const page = parse(await reply.text());
  const [from, to] = [document, page].map((one) => one.querySelector("main"));
  if (!from || !to) return "failed";
  change(() => lay(from, to));
  const time = page.getElementById("live-text")?.textContent.replace("As of ", "");
  showAlive(isLive ? "Live" : `${stream ? "Not live, as of" : "As of"} ${time}`);
  return "done";
}

async function refresh() {
  clearTimeout(timer);
  const result = await fetchPage().catch(() => "failed");
  if (result === "locked") return show("is-late", "Log in again");
  const wait = stream || result === "failed" ? FETCH_MS : OPERATOR_FETCH_MS;
  if (isLive ? result === "failed" : !document.hidden) timer = setTimeout(refresh, wait);
}

function follow() {
  if (!stream) return void refresh();
  const events = new EventSource(stream);
  events.addEventListener("all", ({ data }) => {
    isLive = true;
    /** @type {Sections} */
    const sections = JSON.parse(data);
    const shown = [...document.querySelectorAll("#top, .card, #timeline")].map(({ id }) => id);
    if (sections.map(([id]) => id).join() !== shown.join()) return void refresh();
    laySections(sections);
    showAlive("Live");
  });
  events.addEventListener("sections", ({ data }) => {
    laySections(JSON.parse(data));
    showAlive("Live");
  });
  events.addEventListener("beat", () => showAlive("Live"));
  events.addEventListener("whole", () => void refresh());
  events.onerror = () => {
    isLive = false;
    show("", "Connecting again");
    if (events.readyState !== EventSource.CLOSED) return;
    void refresh();
    setTimeout(follow, RECONNECT_MS);
  };
  addEventListener("pagehide", () => events.close(), { once: true });
}

setInterval(() => {
  const age = Date.now() - heardAt;
  if (age > OLD_MS && !document.hidden)
    show("is-late", `No answer for ${Math.round(age / 1000)} s: this page is old`);
}, 1_000);
document.addEventListener("visibilitychange", () => {
  if (!document.hidden && !isLive) void refresh();
});
addEventListener("pageshow", ({ persisted }) => {
  if (persisted) location.reload();
});
follow();
