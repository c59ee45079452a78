/** The operator's page in a real browser. */
import { once } from "node:events";
import { createServer } from "node:http";
import t from "tap";
import { ask } from "../support/app.ts";
import { openPage, startBrowser } from "../support/browser.ts";
import { outageScene, ROOT } from "../support/outage-scene.ts";
import { missing } from "../support/programs.ts";

t.test("the operator's page in Chromium", { skip: missing("chromium") }, async (t) => {
  const browser = await startBrowser(t);

  await t.test("an override by the operator's page, its end, and one that expires", async (t) => {
    const { url, checks, override } = await outageScene(t);
    await checks(1);
    const home = (await openPage(t, browser)).page;
    await home.goto(`${url}/`);
    await home.getByText("Live", { exact: true }).waitFor();
    const { page, complaints } = await openPage(t, browser, { httpCredentials: ROOT });
    await page.goto(`${url}/`);
    await page.getByRole("link", { name: "Operator" }).click();
    const card = page.getByRole("article", { name: /^sso/ });
    const reason = card.getByLabel(/^Reason/);
    await reason.fill("moving the outpost");
    await card.getByLabel("For", { exact: true }).selectOption("1h");
    await page.waitForResponse(`${url}/operator`);
    t.equal(await reason.inputValue(), "moving the outpost", "what is typed outlives an update");
    await card.getByRole("button", { name: "Override" }).click();
    await page.getByText(/root: sso is overridden to fallback until/).waitFor();
    const note = home.getByText(/^By hand to fallback until .*, for (59 min|1 h) more: moving the outpost$/);
    await note.waitFor();
    t.equal((await ask(`${url}/-/routes/sso/override`)).text.includes("moving the outpost"), true);

    await card.getByRole("button", { name: "Probe now" }).click();
    await page.getByText("root: Probe of sso: the upstream gives a verdict.").waitFor();
    await card.getByRole("button", { name: "End the override" }).click();
    await page.getByText("root: sso is as the config says again.").waitFor();
    await note.waitFor({ state: "detached" });

    await override({ mode: "upstream", ttl: "2s" });
    const short = home.getByText(/^By hand to upstream until/);
    await short.waitFor();
    await short.waitFor({ state: "detached" });
    await home.getByText("sso Override to upstream ended: its time is over").waitFor();

    await page.getByRole("button", { name: "Reload the config" }).click();
    await page.getByText("root: The config was read again and is in use.").waitFor();
    t.same(complaints, []);
  });

  await t.test("a page of another site does nothing, though the browser knows the password", async (t) => {
    const { url, override } = await outageScene(t);
    const form = `<form method=post action="${url}/operator/override"><input name=route value=sso><input name=mode value=fallback><input name=ttl value=10m></form>
<script>document.forms[0].submit()</script>`;
    const evil = createServer((_request, response) =>
      response.setHeader("Content-Type", "text/html").end(form),
    );
    await once(evil.listen(0, "127.0.0.1"), "listening");
    t.teardown(() => evil.close().closeAllConnections());
    const address = evil.address();
    const port = typeof address === "object" ? address?.port : 0;
    const { page } = await openPage(t, browser, { httpCredentials: ROOT });
    await page.goto(`${url}/operator`);
    await page.goto(`http://127.0.0.1:${port}/`, { waitUntil: "commit" });
    await page.getByRole("heading", { name: "Not allowed" }).waitFor();
    t.match(await page.textContent("main"), "another site");
    t.match(JSON.parse((await ask(`${url}/-/routes/sso/override`)).text), { mode: "auto" });
    t.equal((await override({ mode: "fallback", ttl: "1m" })).status, 200, "which a person may");
  });
});
