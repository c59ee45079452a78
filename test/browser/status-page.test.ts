/** The status page in a real browser. */
import t, { type Test } from "tap";
import { createAdminServer } from "../../src/admin/server.ts";
import { CLOSED_ACTIONS } from "../support/admin-actions.ts";
import { accessibilityFaults, openPage, startBrowser, weightOf } from "../support/browser.ts";
import { outageScene, ROOT } from "../support/outage-scene.ts";
import { eventually } from "../support/processes.ts";
import { missing } from "../support/programs.ts";
import { outage } from "../support/status-scene.ts";

/** Starts an admin listener that shows these routes of the outage, in this order. */
async function adminWith(t: Test, port: number, routes: readonly string[]) {
  const status = await outage();
  const shown = routes.flatMap((name) => status.routes.filter((route) => route.name === name));
  const server = createAdminServer({
    listen: { host: "127.0.0.1", port },
    metrics: { contentType: "text/plain", text: async () => "" },
    readiness: () => "ready",
    status: async () => ({ ...status, routes: shown }),
    actions: CLOSED_ACTIONS,
  });
  t.teardown(() => server.close());
  const bound = await server.listen();
  return { server, port: bound.port };
}

const PHONE = { width: 360, height: 740 };

t.test("the status page in Chromium", { skip: missing("chromium") }, async (t) => {
  const browser = await startBrowser(t);

  await t.test("an outage and its end, on a page that stays open", async (t) => {
    const { state, url, checks } = await outageScene(t);
    await checks(3);
    const { page, complaints, requests } = await openPage(t, browser);
    await page.goto(`${url}/`);
    await page.getByText("Live", { exact: true }).waitFor();
    t.equal(await page.textContent("h1"), "All 2 routes answer");
    await page.click("#route-sso summary");
    await page.evaluate(() => Object.assign(globalThis, { isSamePage: true }));
    // One announcement replaces another.
    await page.evaluate(`
      globalThis.said = [];
      const place = document.getElementById("announce");
      new MutationObserver(() => said.push(place.textContent)).observe(place, { childList: true });`);

    state.isDown = true;
    await checks(5);
    await page.getByRole("heading", { name: /routes (is|are) in fallback/ }).waitFor();
    const card = page.getByRole("article", { name: /^sso/ });
    await card.getByText(/^Emergency login active for \d+ s: the upstream answers 503$/).waitFor();
    t.match(await card.textContent(), /Who gets in: who has an emergency password \(1 user\)/);
    t.match(await page.evaluate("said.join()"), /sso: Fallback/, "said to readers of screens");
    t.match(await page.title(), /^\d of 2 routes (is|are) in fallback · sparekey$/);
    t.equal(await page.getAttribute("link[rel=icon]", "href"), "/status/icon-bad.svg");

    state.isDown = false;
    await page
      .locator("#timeline")
      .getByText(/^sso Breaker closed after/)
      .waitFor();
    await card.locator("dd", { hasText: /^closed/ }).waitFor();
    t.ok(await page.evaluate(() => "isSamePage" in globalThis), "the page was not loaded again");
    t.not(await page.getAttribute("#route-sso details", "open"), null, "what was opened stays open");

    t.same(complaints, []);
    t.same(
      requests.filter((request) => !request.startsWith(`${url}/`)),
      [],
      "nothing is asked of others",
    );
    const bytes = await weightOf(page);
    t.ok(bytes > 20_000 && bytes < 60_000, `${bytes} bytes`);
  });

  await t.test(
    "for everybody: axe finds nothing, in an outage, on a phone, in the dark, without a script",
    async (t) => {
      const { state, url, checks, override } = await outageScene(t);
      await checks(2);
      state.isDown = true;
      await checks(5);
      await override({ mode: "fallback", ttl: "1h", reason: "drill" });
      for (const path of ["/", "/operator"]) {
        for (const colorScheme of ["light", "dark"] as const) {
          const { page } = await openPage(t, browser, {
            httpCredentials: ROOT,
            colorScheme,
            viewport: PHONE,
          });
          await page.goto(url + path);
          for (const details of await page.locator("summary").all()) await details.click();
          const name = `${path}, ${colorScheme}`;
          t.same(await accessibilityFaults(page), [], name);
          const tooWide = await page.evaluate("document.documentElement.scrollWidth - innerWidth");
          t.ok(Number(tooWide) <= 0, `${name}: no scrolling to the side, by ${tooWide}`);
        }
      }
      const { page } = await openPage(t, browser, { javaScriptEnabled: false });
      await page.goto(`${url}/`);
      t.match(await page.textContent("h1"), /in fallback/);
      t.match(await page.textContent("#live"), /^As of \d\d:\d\d:\d\d UTC$/);
      t.equal(
        await page.locator("meta[http-equiv=refresh]").getAttribute("content"),
        "10",
        "it loads itself again",
      );
    },
  );

  await t.test("a page that hears nothing says so", async (t) => {
    const { sparekey, url } = await outageScene(t);
    const { page } = await openPage(t, browser);
    await page.clock.install();
    await page.goto(`${url}/`);
    await page.getByText("Live", { exact: true }).waitFor();
    sparekey.process.signal("SIGKILL");
    await sparekey.process.ended;
    await eventually(
      () => "the page thinks that all is well",
      async () => {
        await page.clock.fastForward(6_000);
        return (
          /^No answer for \d+ s: this page is old$/.test((await page.textContent("#live")) ?? "") || null
        );
      },
    );
    t.match(await page.getAttribute("#live", "class"), "is-late");
  });

  await t.test("regression: routes that came and went while it heard nothing", async (t) => {
    const first = await adminWith(t, 0, ["authentik", "bot-block"]);
    const { page } = await openPage(t, browser);
    await page.goto(`http://127.0.0.1:${first.port}/`);
    await page.getByText("Live", { exact: true }).waitFor();
    await first.server.close();
    await adminWith(t, first.port, ["authentik-login", "authentik"]);
    await page.locator("#route-authentik-login").waitFor();
    await page.getByText("Live", { exact: true }).waitFor();
    const ids = await page.locator(".card").evaluateAll((cards) => cards.map(({ id }) => id));
    t.same(ids, ["route-authentik-login", "route-authentik"]);
  });
});
