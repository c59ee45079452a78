import t, { type Test } from "tap";
import { type FaultName, faults as wireFaults } from "../../src/demo/stand-in.ts";
import { type Switchable, startSwitchboard } from "../../src/demo/switchboard.ts";
import { ask, serve } from "../support/app.ts";
import { exchangeBytes } from "./wire.ts";

const NOBODY = "http://127.0.0.1:1";

function standIn(faults: readonly FaultName[]): Switchable {
  let now = "ok";
  return {
    faults,
    meaning: (name) => wireFaults[name as FaultName],
    fault: () => now,
    setFault: async (name) => {
      if (name === "reset") throw new Error("the port is gone");
      now = name;
    },
  };
}

async function board(test: Test, admin = NOBODY) {
  const first = standIn(["ok", "hang", "reset"]);
  const second = standIn(["ok", "refuse"]);
  const listening = await startSwitchboard({
    port: 0,
    switches: [
      { title: "Outpost", path: "/fault/", standIn: first },
      { title: "Bot blocker", path: "/bot-blocker/fault/", standIn: second },
    ],
    gateway: NOBODY,
    admin,
  });
  test.teardown(() => listening.close());
  return { ...listening, first, second };
}

t.test("curl switches and is told", async (test) => {
  const { url, first, second } = await board(test);
  const answer = await fetch(`${url}/fault/hang`, { method: "POST" });
  test.equal(answer.status, 200);
  test.equal(await answer.text(), "Outpost: hang: takes connections and never answers\n");
  test.equal(first.fault(), "hang");
  test.equal(second.fault(), "ok");
  await fetch(`${url}/bot-blocker/fault/refuse`, { method: "POST" });
  test.equal(second.fault(), "refuse");
});

t.test("the page has a button for each fault and marks the one in force", async (test) => {
  const { url, first } = await board(test);
  await first.setFault("hang");
  const answer = await fetch(url);
  const html = await answer.text();
  test.equal(answer.status, 200);
  test.match(answer.headers.get("content-security-policy"), "frame-ancestors 'none'");
  for (const path of ["/fault/ok", "/fault/hang", "/bot-blocker/fault/refuse"]) {
    test.match(html, `<form method="post" action="${path}">`);
  }
  test.match(html, /<button class="now" aria-current="true">hang</);
});

t.test("a button leads back to the page", async (test) => {
  const { url, first } = await board(test);
  const answer = await fetch(`${url}/fault/hang`, {
    method: "POST",
    redirect: "manual",
    headers: { Origin: url, "Sec-Fetch-Site": "same-origin" },
  });
  test.equal(answer.status, 303);
  test.equal(answer.headers.get("location"), "/");
  test.equal(first.fault(), "hang");
});

t.test("what is refused changes nothing", async (test) => {
  const { port, first } = await board(test);
  const own = `Host: 127.0.0.1:${port}`;
  const rows = [
    {
      name: "another page",
      line: "POST /fault/hang",
      headers: [own, "Origin: https://evil.example"],
      status: 403,
    },
    { name: "a sandboxed page", line: "POST /fault/hang", headers: [own, "Origin: null"], status: 403 },
    {
      name: "another port",
      line: "POST /fault/hang",
      headers: [own, "Origin: http://127.0.0.1:1"],
      status: 403,
    },
    {
      name: "cross-site",
      line: "POST /fault/hang",
      headers: [own, "Sec-Fetch-Site: cross-site"],
      status: 403,
    },
    { name: "same-site", line: "POST /fault/hang", headers: [own, "Sec-Fetch-Site: same-site"], status: 403 },
    { name: "a rebound name", line: "POST /fault/hang", headers: ["Host: evil.example"], status: 403 },
    {
      name: "a rebound name with its own origin",
      line: "POST /fault/hang",
      headers: ["Host: evil.example", "Origin: http://evil.example", "Sec-Fetch-Site: same-origin"],
      status: 403,
    },
    { name: "a rebound page", line: "GET /", headers: ["Host: 127.0.0.1.evil.example"], status: 403 },
    { name: "GET", line: "GET /fault/hang", headers: [own], status: 405 },
    { name: "an unknown fault", line: "POST /fault/explode", headers: [own], status: 404 },
    { name: "a fault of the other", line: "POST /fault/refuse", headers: [own], status: 404 },
    { name: "an inherited name", line: "POST /fault/constructor", headers: [own], status: 404 },
    { name: "another path", line: "POST /", headers: [own], status: 404 },
    { name: "a failing switch", line: "POST /fault/reset", headers: [own], status: 500 },
  ];
  for (const { name, line, headers, status } of rows) {
    const head = [`${line} HTTP/1.1`, ...headers, "Connection: close"].join("\r\n");
    const { text } = await exchangeBytes(port, `${head}\r\n\r\n`);
    test.match(text, new RegExp(`^HTTP/1\\.1 ${status} `), name);
    test.equal(first.fault(), "ok", name);
  }
});

t.test("localhost and ::1 are this machine too", async (test) => {
  const { port } = await board(test);
  for (const host of ["localhost", `LOCALHOST:${port}`, `[::1]:${port}`]) {
    const { text } = await exchangeBytes(
      port,
      `GET / HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`,
    );
    test.match(text, /^HTTP\/1\.1 200 /, host);
  }
});

t.test("beside the faults: the app through the gateway, and sparekey's page", async (test) => {
  const { url } = await board(test);
  const { text, headers } = await ask(url);
  test.match(text, `<iframe src="${NOBODY}/" title="The sample app, through the gateway">`);
  test.match(text, /<iframe src="\/sparekey" title="sparekey&#39;s page">/);
  test.match(headers["content-security-policy"], /frame-src 'self' http:\/\/127\.0\.0\.1:\*/);
});

t.test("sparekey's page may stand in the switchboard's frame, and in no other", async (test) => {
  const yaml = `admin: { listen: "127.0.0.1:0" }
listen: 127.0.0.1:0
routes: [{ name: guarded, path: /, upstream: "${NOBODY}", fallback: { mode: deny } }]
`;
  const { app } = await serve(test, yaml);
  const admin = `http://${app.admin.host}:${app.admin.port}`;
  const { url } = await board(test, admin);

  const page = await ask(`${url}/sparekey`);
  test.equal(page.status, 200);
  test.match(page.text, /guarded/);
  test.match(page.headers["content-security-policy"], /frame-ancestors 'self'$/);
  test.equal(page.headers["x-frame-options"], undefined);
  for (const [, path = ""] of page.text.matchAll(/(?:href|src)="(\/[\w./-]+)"/g)) {
    const { status, headers } = await ask(url + path);
    test.equal(status, 200, path);
    test.equal(headers["content-type"], (await ask(admin + path)).headers["content-type"], path);
  }
  for (const path of ["/-/routes/guarded/override", "/operator", "/sparekey/", "/status/a/b"])
    test.equal((await ask(url + path)).status, 404, `${path} is not passed on`);
  test.equal((await ask(`${url}/status.json`, { method: "POST" })).status, 404, "nor is a POST");

  const events = await fetch(`${url}/events`);
  test.match(events.headers.get("content-type"), "text/event-stream");
  const first = await events.body?.getReader().read();
  test.match(
    Buffer.from(first?.value ?? []).toString(),
    /data:|event:|retry:|^:/m,
    "events come as they happen",
  );

  await app.close();
  test.equal((await ask(`${url}/sparekey`)).status, 502, "once sparekey is gone");
});
