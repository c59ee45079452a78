import { join } from "node:path";
import t, { type Test } from "tap";
import { probeCommand, type Watch } from "../../src/commands/probe.ts";
import { startOutpost } from "../../src/demo/outpost.ts";
import type { FaultName } from "../../src/demo/stand-in.ts";
import { rawUpstream } from "../support/raw-upstream.ts";
import { unstalled } from "../support/unstalled.ts";

async function scene(t: Test, fault: FaultName, probe: string) {
  const outpost = await startOutpost({ port: 0, hosts: ["app.example.com"] });
  t.teardown(() => outpost.close());
  await outpost.setFault(fault);
  const yaml = `
routes:
  - preset: authentik
    upstream: ${outpost.url}
    timeouts: { connect: 2s, read: 300ms, total: 2s }
    probe: ${probe}
    fallback: { mode: deny }
  - name: login
    path: /outpost.goauthentik.io/*
    upstream: ${outpost.url}
    timeouts: { connect: 2s, read: 300ms, total: 2s }
    fallback: { mode: none }
`;
  const file = join(t.testdir({ "sparekey.yaml": yaml }), "sparekey.yaml");
  return {
    outpost,
    run: (name: string | null, watch: Watch | null = null) => run(file, name, watch),
  };
}

async function run(file: string, name: string | null, watch: Watch | null = null) {
  let out = "";
  let err = "";
  const io = {
    out: (text: string) => {
      out += text;
    },
    err: (text: string) => {
      err += text;
    },
    env: {},
  };
  const code = await probeCommand(file, name, io, watch);
  return { code, out: out.replace(/\d+ ms/g, "N ms"), err };
}

const WRONG_HOST =
  "  warning: no healthy upstream with logins answers so to a probe; set probe.hosts to a host that it knows";
const HOST = "{ host: app.example.com }";
const rows = [
  { name: "a challenge", fault: "ok", probe: HOST, code: 0, out: "authentik  302  challenge  N ms\n" },
  {
    name: "a refusal is a verdict, but shows that the probe is wrong",
    fault: "ok",
    probe: "{ host: x.example }",
    code: 1,
    out: `authentik  400  deny  N ms${WRONG_HOST}\n`,
  },
  {
    name: "hung",
    fault: "hang",
    probe: HOST,
    code: 1,
    out: "authentik  no answer  fault read_timeout  N ms\n",
  },
  { name: "503", fault: "status-503", probe: HOST, code: 1, out: "authentik  503  fault status_503  N ms\n" },
  {
    name: "a full store",
    fault: "bare-400",
    probe: HOST,
    code: 1,
    out: "authentik  400  suspect bare_400  N ms\n",
  },
  {
    name: "a dead login page",
    fault: "ok",
    probe:
      '{ host: app.example.com, headers: { X-Forwarded-Proto: https }, loginHealth: "http://127.0.0.1:1/-/health/ready/" }',
    code: 1,
    out: "authentik  302  suspect login_down  N ms\n",
  },
] as const;
for (const row of rows) {
  t.test(row.name, async (t) => {
    const { outpost, run } = await scene(t, row.fault, row.probe);
    const said = await unstalled(
      () => run("authentik"),
      ({ out }) => out.includes("overload"),
    );
    t.same(said, { code: row.code, out: row.out, err: "" });
    for (const { headers } of outpost.received()) {
      t.notOk(headers.some((name) => /^(cookie|authorization)$/i.test(name)));
    }
  });
}

t.test("a 2xx without a required header is the refusal that a client gets", async (t) => {
  const upstream = await rawUpstream(t, (socket) =>
    socket.write("HTTP/1.1 200 OK\r\nX-Who: ann\r\nX-Empty:\r\nContent-Length: 0\r\n\r\n"),
  );
  const headers = [
    { required: "[X-Who]", out: "allow" },
    { required: "[X-Who, X-Empty, X-Uid]", out: "deny (lacks x-empty, x-uid)" },
  ];
  for (const { required, out } of headers) {
    const yaml = `routes: [{ name: a, path: /, upstream: "http://127.0.0.1:${upstream.port}", requireHeaders: ${required}, fallback: { mode: deny } }]`;
    const file = join(t.testdir({ "sparekey.yaml": yaml }), "sparekey.yaml");
    t.same(await run(file, null), { code: 0, out: `a  200  ${out}  N ms\n`, err: "" });
  }
});

t.test("a 4xx other than 401 is a warning where people log in, and a verdict elsewhere", async (t) => {
  const rows = [
    { status: "403 Forbidden", mode: "deny", code: 1, out: `403  deny  N ms${WRONG_HOST}` },
    { status: "404 Not Found", mode: "deny", code: 1, out: `404  deny  N ms${WRONG_HOST}` },
    { status: "401 Unauthorized", mode: "deny", code: 0, out: "401  challenge  N ms" },
    { status: "404 Not Found", mode: "allow", code: 0, out: "404  deny  N ms" },
    { status: "403 Forbidden", mode: "none", code: 0, out: "403  deny  N ms" },
  ];
  for (const { status, mode, code, out } of rows) {
    const upstream = await rawUpstream(t, (socket) =>
      socket.write(`HTTP/1.1 ${status}\r\nContent-Length: 2\r\n\r\nno`),
    );
    const yaml = `routes: [{ name: a, path: /, upstream: "http://127.0.0.1:${upstream.port}", fallback: { mode: ${mode} } }]`;
    const file = join(t.testdir({ "sparekey.yaml": yaml }), "sparekey.yaml");
    t.same(await run(file, null), { code, out: `a  ${out}\n`, err: "" }, `${mode}, ${status}`);
  }
});

t.test("every route, names in a column", async (t) => {
  const { run } = await scene(t, "ok", HOST);
  const { code, out } = await run(null);
  t.equal(code, 0);
  t.match(out, /^authentik {2}302 {2}challenge {2}N ms\nlogin {6}\d{3} {2}\w+ {2}N ms\n$/);
});

t.test("a route that is not there", async (t) => {
  const { run } = await scene(t, "ok", HOST);
  t.same(await run("nope"), {
    code: 1,
    out: "",
    err: 'sparekey probe: there is no route "nope"; there are authentik, login\n',
  });
});

/** Stops when `done` says so of the lines so far. Each line begins with the kind of its probe result. */
function watching(done: (lines: readonly string[]) => boolean): Watch & { readonly lines: string[] } {
  const controller = new AbortController();
  const lines: string[] = [];
  return {
    lines,
    stopped: controller.signal,
    milliseconds: 1,
    now: () => new Date(2026, 3, 18, 3, 4, 5),
    paint: (kind, line) => {
      lines.push(`${kind}: ${line.replace(/\d+ ms/, "N ms")}`);
      if (done(lines)) controller.abort();
      return line;
    },
  };
}

const WELL = "fine: 03:04:05  authentik  302  challenge  N ms";
const FULL = "suspect: 03:04:05  authentik  400  suspect bare_400  N ms";

t.test("again and again, until it is stopped; the last one counts", async (t) => {
  const { outpost, run } = await scene(t, "ok", HOST);
  const stays = watching((lines) => lines.length === 3);
  const { code, out } = await run("authentik", stays);
  t.same(stays.lines, [WELL, WELL, WELL]);
  t.equal(code, 0);
  t.equal(out, "03:04:05  authentik  302  challenge  N ms\n".repeat(3));

  await outpost.setFault("bare-400");
  const breaks = watching((lines) => lines.length === 2);
  t.equal((await run("authentik", breaks)).code, 1);
  t.same(breaks.lines, [FULL, FULL]);
});

t.test("stopped while an upstream hangs, it does not wait for the answer", async (t) => {
  const controller = new AbortController();
  const upstream = await rawUpstream(t, () => controller.abort());
  const yaml = `routes: [{ name: a, path: /, upstream: "http://127.0.0.1:${upstream.port}", timeouts: { read: 60s, total: 60s }, fallback: { mode: deny } }]`;
  const file = join(t.testdir({ "sparekey.yaml": yaml }), "sparekey.yaml");
  t.same(await run(file, null, { ...watching(() => false), stopped: controller.signal }), {
    code: 1,
    out: "",
    err: "",
  });
});
