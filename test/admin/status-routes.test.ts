import { createServer } from "node:http";
import t, { type Test } from "tap";
import { createStatusRoutes } from "../../src/admin/status-routes.ts";
import { listen } from "../../src/demo/listening.ts";
import { outage } from "../support/status-scene.ts";

async function startRoutes(t: Test, isOpen = false) {
  const routes = createStatusRoutes({ status: outage, isOpen: () => isOpen });
  const server = createServer((request, response) => {
    if (!routes.watch(request.url ?? "", response)) response.writeHead(404).end();
  });
  const { url, close } = await listen(server, 0);
  t.teardown(async () => {
    routes.end();
    await close();
  });
  return { routes, url };
}

t.test("what each path is", async (t) => {
  const { routes, url } = await startRoutes(t);
  const rows = [
    { path: "/", type: "text/html", body: "<title>1 of 3 routes is in fallback" },
    { path: "/status.json", type: "application/json", body: '{"format":1,' },
    { path: "/status/page.css", type: "text/css", body: "color-scheme: light dark" },
    { path: "/status/page.js", type: "text/javascript", body: "EventSource" },
    { path: "/status/icon-warn.svg", type: "image/svg+xml", body: "<svg" },
    { path: "/favicon.ico", type: "text/plain", body: "not found" },
  ];
  for (const { path, type, body } of rows) {
    const page = await routes.pages.get(path)?.();
    t.equal(page?.type, `${type}; charset=utf-8`, path);
    t.match(page?.body, body, path);
    t.equal((await fetch(url + path)).status, 404, `${path} is no stream`);
  }
});

t.test("the page links to the operator's where somebody can log in", async (t) => {
  for (const isOpen of [true, false]) {
    const { routes } = await startRoutes(t, isOpen);
    const page = await routes.pages.get("/")?.();
    t.equal(page?.body.includes('href="/operator"'), isOpen, `isOpen ${isOpen}`);
  }
});

t.test("streams end with the routes, and none begins after", async (t) => {
  const { routes, url } = await startRoutes(t);
  for (const path of ["/events", "/status/live"]) {
    const reply = await fetch(url + path);
    t.match(reply.headers.get("content-type"), "text/event-stream", path);
    await reply.body?.cancel();
  }
  routes.end();
  const late = await fetch(`${url}/events`);
  t.equal(late.status, 503);
  t.equal(late.headers.get("retry-after"), "30");
  t.equal(late.headers.get("cache-control"), "no-store");
});
