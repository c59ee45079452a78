/** Grace from the config to the reply, with an upstream that goes away. */
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import t from "tap";
import { ask, sample, serve } from "../support/app.ts";

t.test("who was let in goes on, until the upstream says otherwise", async (t) => {
  const upstream = createServer((request, response) => {
    const isIn = request.headers.cookie === "session=eve";
    const identity = { "X-authentik-username": "eve", "X-Other": "1", "Set-Cookie": "s=2" };
    response.writeHead(isIn ? 200 : 302, isIn ? identity : { Location: "/login" }).end();
  });
  upstream.listen(0, "127.0.0.1");
  await once(upstream, "listening");
  const { port } = upstream.address() as AddressInfo;
  const served = await serve(
    t,
    `
listen: 127.0.0.1:0
admin: { listen: 127.0.0.1:0 }
routes:
  - name: sso
    preset: authentik
    path: /auth
    upstream: http://127.0.0.1:${port}
    fallback: { mode: deny, grace: 1h }
    hosts: [{ match: closed.example, fallback: { mode: deny } }]
  - name: other
    path: /other
    upstream: http://127.0.0.1:${port}
    fallback: { mode: deny, grace: 1h }
`,
  );
  const check = (cookie: string, host = "app.example") =>
    ask(`${served.urls[0]}/auth`, {
      headers: { "X-Forwarded-Host": host, ...(cookie && { Cookie: cookie }) },
    });
  const rows = [
    { name: "the same client", cookie: "session=eve", status: 200 },
    { name: "another session", cookie: "session=bob", status: 503 },
    { name: "the session and more", cookie: "session=eve; x=1", status: 503 },
    { name: "a host it has not been let in at", cookie: "session=eve", host: "other.example", status: 503 },
    { name: "a host without grace", cookie: "session=eve", host: "closed.example", status: 503 },
    { name: "no cookie", cookie: "", status: 503 },
  ];
  for (const { cookie, host } of rows) {
    if (host === "other.example") continue;
    const { status } = await check(cookie, host);
    t.equal(status, cookie === "session=eve" ? 200 : 302, "while the upstream answers");
  }
  upstream.closeAllConnections();
  await new Promise((resolve) => upstream.close(resolve));
  for (const { name, cookie, host, status } of rows) {
    const { status: seen, headers } = await check(cookie, host);
    t.equal(seen, status, name);
    t.equal(headers["x-auth-fallback"], status === 200 ? "grace" : "deny", name);
    t.equal(headers["x-authentik-username"], status === 200 ? "eve" : undefined, name);
    t.equal(headers["x-other"] ?? headers["set-cookie"], undefined, `${name}: nothing else of the 200`);
    t.equal(headers["cache-control"], "no-store", name);
  }
  const headers = { "X-Forwarded-Host": "app.example", Cookie: "session=eve" };
  const other = await ask(`${served.urls[0]}/other`, { headers });
  t.equal(other.status, 503, "a route that has let nobody in");
  const metrics = await served.metrics();
  t.equal(sample(metrics, 'sparekey_checks_total{route="sso",source="grace",verdict="allow"}'), 1);
  const labels = 'route="sso",mode="deny",reason="refused",result="allowed"';
  t.equal(sample(metrics, `sparekey_fallback_total{${labels}}`), 1);
});

t.test("regression: a 200 that lacks what it must have is none to go on by", async (t) => {
  const upstream = createServer((_request, response) => {
    response.writeHead(200, { "X-authentik-username": "eve" }).end();
  });
  upstream.listen(0, "127.0.0.1");
  await once(upstream, "listening");
  const { port } = upstream.address() as AddressInfo;
  const { urls } = await serve(
    t,
    `
listen: 127.0.0.1:0
admin: { listen: 127.0.0.1:0 }
routes:
  - preset: authentik
    path: /auth
    upstream: http://127.0.0.1:${port}
    requireHeaders: [X-authentik-email]
    fallback: { mode: deny, grace: 1h }
`,
  );
  const headers = { "X-Forwarded-Host": "app.example", Cookie: "session=eve" };
  t.equal((await ask(`${urls[0]}/auth`, { headers })).status, 403);
  upstream.closeAllConnections();
  await new Promise((resolve) => upstream.close(resolve));
  t.equal((await ask(`${urls[0]}/auth`, { headers })).status, 503);
});
