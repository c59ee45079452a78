/** An outage as people see it, in Chromium behind a real Caddy. */
import type { Page, Response } from "playwright-core";
import t, { type Test } from "tap";
import { outpostUser } from "../../src/demo/outpost-identity.ts";
import { ADMIN, IDENTITY } from "../gateways/scene.ts";
import { accessibilityFaults, startBrowser } from "../support/browser.ts";
import { missing } from "../support/programs.ts";
import { type BrowserScene, OWN_HEADING, startBrowserScene } from "./scene.ts";
import { openTab, type Tab } from "./tab.ts";

const REALM = "Emergency Access";
const WRONG = { user: ADMIN.user, password: "guess" };
/** Headers of a browser that claims another identity. */
const CLAIMS = Object.fromEntries(IDENTITY.map((name) => [name, "root"]));

t.test("an outage, in a browser", { skip: missing("chromium", "caddy") }, async (t) => {
  const [browser, scene] = await Promise.all([startBrowser(t), startBrowserScene(t)]);

  const colleague = await openTab(t, browser, { bypassCSP: true });
  await t.test("the usual login, while the upstream works", (t) => usualLogin(t, colleague, scene));
  await scene.outpost.setFault("refuse");
  const admin = await openTab(t, browser, { extraHTTPHeaders: CLAIMS });
  await t.test("the login box, and the page behind it", (t) => loginBox(t, admin, scene));
  await t.test("in the background of a page", (t) => background(t, colleague, scene));
  await t.test("in a frame of a page", (t) => frame(t, colleague));
  const visitor = await openTab(t, browser);
  await t.test("in the background, over plain HTTP", (t) => plainHttp(t, visitor, scene));
  await t.test("a host that stays closed", (t) => closedHost(t, visitor, scene));
  await t.test("too many attempts", (t) => tooMany(t, visitor, scene));
  await t.test("the operator's own page", (t) => ownPage(t, visitor, scene));
  await t.test("the upstream works again", (t) => recovery(t, admin, scene));
});

async function usualLogin(t: Test, { page, open }: Tab, scene: BrowserScene): Promise<void> {
  t.equal((await open(scene.url("app", "/tab"))).status(), 200);
  await logIn(page);
  t.match(await page.textContent("body"), `You are ${outpostUser.name}`);
}

async function logIn(page: Page): Promise<void> {
  await page.fill("[name=user]", outpostUser.name);
  await page.fill("[name=password]", outpostUser.password);
  await page.click("button");
}

async function loginBox(t: Test, tab: Tab, scene: BrowserScene): Promise<void> {
  const { page } = tab;
  const before = await checksOf(scene);
  t.equal((await tab.open(scene.url("app", "/first"))).status(), 401);
  t.same(tab.boxes(), [REALM], "a box comes");
  t.equal(await page.textContent("h1"), "Sign-in is down", "closed, it leaves a page");
  await standsAlone(t, tab);
  t.equal(await checksOf(scene), before + 1, "the page costs one check");

  tab.willAnswer(WRONG, ADMIN);
  t.equal((await tab.follow("Log in")).status(), 200);
  t.same(tab.boxes(), [REALM, REALM], "the link brings the box again, and so does a wrong password");
  await isApp(t, page);

  t.equal((await tab.open(scene.url("app", "/second"))).status(), 200);
  t.same(tab.boxes(), [], "the browser remembers");
  await isApp(t, page);
}

async function isApp(t: Test, page: Page): Promise<void> {
  const text = (await page.textContent("body")) ?? "";
  t.match(text, `You are ${ADMIN.user}, let in by sparekey's fallback (basic-auth).`);
  t.match(text, "Authorization: did not arrive");
  const rows = await page.$$eval("tr", (all) =>
    all.map((row) => [...row.children].map((cell) => cell.textContent)),
  );
  const identity = rows.filter(([name]) => name?.toLowerCase().startsWith("x-authentik-"));
  t.same(
    Object.fromEntries(identity.map(([name, value]) => [name?.toLowerCase(), value])),
    Object.fromEntries(IDENTITY.map((name, index) => [name.toLowerCase(), index === 0 ? ADMIN.user : ""])),
    "a name and nothing else",
  );
}

/** The scripts with which a page asks for `path`. */
const REQUESTS: Readonly<Record<string, string>> = {
  fetch: 'fetch(path, { method: "POST" })',
  "fetch, no-cors": 'fetch(path, { mode: "no-cors" })',
  XMLHttpRequest: 'const request = new XMLHttpRequest(); request.open("GET", path); request.send()',
  EventSource: "const events = new EventSource(path); events.onerror = () => events.close()",
  beacon: "navigator.sendBeacon(path)",
  image: "new Image().src = path",
  style:
    'document.head.append(Object.assign(document.createElement("link"), { rel: "stylesheet", href: path }))',
  script: 'document.head.append(Object.assign(document.createElement("script"), { src: path }))',
  frame: 'document.body.append(Object.assign(document.createElement("iframe"), { src: path }))',
};

async function background(t: Test, tab: Tab, scene: BrowserScene): Promise<void> {
  const { frame: _, ...requests } = REQUESTS;
  for (const name of Object.keys(requests)) {
    const response = await answerTo(tab, name);
    t.equal(response.status(), 401, name);
    t.equal(await response.headerValue("www-authenticate"), null, `${name}: asks for nothing`);
  }
  t.same(tab.boxes(), [], "no box");
  await tab.page.evaluate('fetch("/box")');
  t.same(tab.boxes(), ["The gateway's"], "one would have been seen");
  t.equal(tab.page.url(), scene.url("app", "/tab"), "the page is still there");
}

async function frame(t: Test, tab: Tab): Promise<void> {
  const before = tab.boxes().length;
  await answerTo(tab, "frame");
  t.equal(await tab.page.frameLocator("iframe").locator("h1").textContent(), "Sign-in is down");
  t.same(tab.boxes().slice(before), [REALM], "a frame is a page: a box comes");
}

async function answerTo({ page }: Tab, name: string): Promise<Response> {
  const path = `/${encodeURIComponent(name)}`;
  const [response] = await Promise.all([
    page.waitForResponse((response) => new URL(response.url()).pathname === path),
    page.evaluate(`{ const path = ${JSON.stringify(path)}; ${REQUESTS[name]}; }`),
  ]);
  return response;
}

/** This browser does not say what a request is for, as docs/emergency-login.md warns. */
async function plainHttp(t: Test, tab: Tab, scene: BrowserScene): Promise<void> {
  t.equal((await tab.open(scene.url("plain", "/"))).status(), 401);
  await tab.page.evaluate('fetch("/background")');
  t.same(tab.boxes(), [REALM, REALM], "one for the page, one for what it asked");
}

async function closedHost(t: Test, tab: Tab, scene: BrowserScene): Promise<void> {
  const before = await checksOf(scene);
  t.equal((await tab.open(scene.url("deny", "/"))).status(), 503);
  t.equal(await tab.page.textContent("h1"), "Sign-in is down");
  t.match(await tab.page.textContent("main"), "stays closed");
  await standsAlone(t, tab);
  t.equal(await checksOf(scene), before + 1, "the page costs one check");
  t.equal((await tab.follow("Try again")).status(), 503, "the link asks again");
  t.same(tab.boxes(), [], "no box");
}

async function tooMany(t: Test, tab: Tab, scene: BrowserScene): Promise<void> {
  tab.willAnswer(WRONG, WRONG);
  t.equal((await tab.open(scene.url("limited", "/"))).status(), 429);
  t.same(tab.boxes(), [REALM, REALM], "the limit ends it");
  t.equal(await tab.page.textContent("h1"), "Too many attempts");
  t.match(await tab.page.textContent("main"), "Wait a minute");
  await standsAlone(t, tab);
}

async function ownPage(t: Test, tab: Tab, scene: BrowserScene): Promise<void> {
  const rows = [
    { host: "worded", status: 401, boxes: [REALM] },
    { host: "wordedDeny", status: 503, boxes: [] },
  ] as const;
  for (const { host, status, boxes } of rows) {
    t.equal((await tab.open(scene.url(host, "/"))).status(), status, host);
    t.equal(await tab.page.textContent("h1"), OWN_HEADING, host);
    t.same(tab.boxes(), boxes, host);
  }
}

async function recovery(t: Test, tab: Tab, scene: BrowserScene): Promise<void> {
  const { page } = tab;
  await scene.outpost.setFault("ok");
  await scene.sparekey.log(({ msg }) => msg === "breaker closed");
  const login = await tab.follow("Next page");
  t.match(await page.title(), "Stand-in login", "the usual login is back");
  t.ok(await login.request().headerValue("authorization"), "the browser goes on sending the password");
  await logIn(page);
  t.match(await page.textContent("body"), `You are ${outpostUser.name}`);
  t.same(tab.boxes(), [], "and no box");
  const received = scene.outpost.received();
  t.ok(
    received.some(({ headers }) => headers.includes("/next")),
    "the upstream was asked",
  );
  t.notMatch(JSON.stringify(received), /authorization/i, "but never gets it");
}

/** Everybody can read it as it is, in both colour schemes and on any screen. */
async function standsAlone(t: Test, { page, requested }: Tab): Promise<void> {
  t.same(requested(), [page.url()], "it loads nothing");
  const grounds = new Set<string>();
  for (const colorScheme of ["light", "dark"] as const) {
    await page.emulateMedia({ colorScheme });
    grounds.add(await page.evaluate<string>("getComputedStyle(document.body).backgroundColor"));
    t.same(await accessibilityFaults(page), [], `axe, ${colorScheme}`);
  }
  t.equal(grounds.size, 2, "light and dark");
  for (const { width, text } of [
    { width: 320, text: "100%" },
    { width: 360, text: "100%" },
    { width: 360, text: "200%" },
    { width: 1280, text: "100%" },
  ]) {
    await page.setViewportSize({ width, height: 640 });
    const wide = await page.evaluate(
      `document.documentElement.style.fontSize = "${text}"; document.documentElement.scrollWidth`,
    );
    t.equal(wide, width, `as wide as the screen: ${width} px, text ${text}`);
  }
  t.same(requested(), [page.url()], "and loads nothing later");
}

/** Counts all answers of sparekey. */
async function checksOf({ sparekey }: BrowserScene): Promise<number> {
  const counts = (await sparekey.metrics()).matchAll(/^sparekey_checks_total\{.*\} (\d+)$/gm);
  return Array.from(counts, ([, count]) => Number(count)).reduce((sum, count) => sum + count, 0);
}
