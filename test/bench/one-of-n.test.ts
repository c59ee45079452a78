/** The arithmetic of the bench of one bad replica among several, and what it takes for a verdict. */
import { createSocket } from "node:dgram";
import { Resolver } from "node:dns/promises";
import { once } from "node:events";
import t from "tap";
import { startDnsServer } from "../../bench/faults/dns-server.ts";
import { BADS, cellsOf, chosen } from "../../bench/one-of-n/cells.ts";
import { changeFigures, dnsProblems } from "../../bench/one-of-n/changes.ts";
import { type Came, cameOf, headersOf, subjectOf, userIn } from "../../bench/one-of-n/clients.ts";
import { figuresOf, type RunFigures, type Seen } from "../../bench/one-of-n/figures.ts";
import { gapMs } from "../../bench/one-of-n/load.ts";
import { hedgeMs, judge, linesFor, usualOf } from "../../bench/one-of-n/must-hold.ts";
import { allRequests, requestsTo } from "../../bench/one-of-n/replicas.ts";
import { brokenTexts, pageOf } from "../../bench/one-of-n/report.ts";

const VERDICT: Came = { kind: "verdict", text: "200" };
const LOGIN: Came = { kind: "fallback", text: "401 basic-auth" };
const CELL = { bad: "hung", reach: "vip", n: 2 } as const;

t.test("cells are chosen by name", async (t) => {
  t.same(chosen("bad", undefined, BADS), BADS, "all of them");
  t.same(chosen("bad", "503, hung", BADS), ["hung", "503"], "in the bench's own order");
  t.throws(() => chosen("bad", "hung,sick", BADS), {
    message: /^There is no bad "sick"\. There are: none, hung/,
  });
  t.equal(cellsOf(["hung", "503"], ["vip", "list"], [2, 3]).length, 8);
});

t.test("arrivals by chance come at the rate", async (t) => {
  t.equal(gapMs(40, 0), 0);
  const gaps = Array.from({ length: 10_000 }, (_, index) => gapMs(40, (index + 0.5) / 10_000));
  t.ok(Math.abs(gaps.reduce((sum, gap) => sum + gap, 0) / gaps.length - 25) < 0.1, "25 ms apart on average");
});

t.test("what is a verdict", async (t) => {
  const user = "user-7";
  const rows = [
    { name: "the user's own", status: 200, headers: { "x-authentik-username": user }, user, kind: "verdict" },
    { name: "another user's", status: 200, headers: { "x-authentik-username": "x" }, user, kind: "error" },
    { name: "nobody's", status: 200, headers: {}, user, kind: "error" },
    { name: "to the login", status: 302, headers: { "set-cookie": ["a=b"] }, user: null, kind: "verdict" },
    { name: "to a login that cannot end", status: 302, headers: {}, user: null, kind: "error" },
    { name: "a user to the login", status: 302, headers: { "set-cookie": ["a=b"] }, user, kind: "error" },
    { name: "a fallback", status: 200, headers: { "x-auth-fallback": "allow" }, user, kind: "fallback" },
    { name: "a login", status: 401, headers: { "www-authenticate": "Basic" }, user, kind: "fallback" },
    { name: "a failure", status: 503, headers: {}, user, kind: "error" },
  ];
  for (const { name, status, headers, user: asked, kind } of rows) {
    t.equal(cameOf(status, headers, asked).kind, kind, name);
  }
});

t.test("a replica knows who asks, and for whom", async (t) => {
  const head = (subject: "nginx" | "envoy", user: string | null): string =>
    Object.entries(headersOf(subject, user, 3))
      .map(([name, value]) => `${name.toLowerCase()}: ${value}\r\n`)
      .join("");
  t.equal(subjectOf(head("nginx", null)), "nginx");
  t.equal(subjectOf(head("envoy", "user-3")), "envoy");
  t.equal(subjectOf("GET / HTTP/1.1\r\n\r\n"), "sparekey", "a probe before anything was learned");
  t.equal(userIn(head("nginx", "user-3")), "user-3");
  t.equal(userIn(head("nginx", null)), null);
});

t.test("figures of a run", async (t) => {
  const seen: readonly Seen[] = [
    { sent: -6_000, took: 900, came: VERDICT },
    { sent: -4_000, took: 7, came: VERDICT },
    { sent: -3_000, took: 5, came: VERDICT },
    { sent: -2, took: 5_000, came: LOGIN },
    { sent: 500, took: 5_000, came: LOGIN },
    { sent: 900, took: 100, came: VERDICT },
    { sent: 5_000, took: 5_100, came: LOGIN },
    { sent: 6_000, took: 1, came: LOGIN },
    { sent: 20_000, took: 6, came: VERDICT },
  ];
  const figures = figuresOf(seen, { quietMs: 5_000, lastsMs: 30_000, requests: 10, met: true });
  t.same(figures.quiet, [7, 5], "neither the time before, nor a check that waits at the onset");
  t.equal(figures.checks, 5);
  t.equal(figures.missed, 3);
  t.equal(figures.missedLate, 2, "the first came within a second");
  t.equal(figures.early.max, 5_100);
  t.same(figures.after, { p50: 6, p99: 6, max: 6 });
  t.equal(figures.asked, 2);
  t.same(figures.odd, new Map([["401 basic-auth", 3]]));
  t.equal(figures.firstMissedMs, 5_500);
  t.equal(figures.lastWaitingMs, 10_100, "of those before the one that fell back at once");

  const short = figuresOf(seen, { quietMs: 5_000, lastsMs: 11_000, requests: 10, met: true });
  t.equal(short.early.max, 5_100, "a short run is halved");
  t.equal(short.after.max, 6);
  const well = figuresOf([{ sent: 1, took: 5, came: VERDICT }], {
    quietMs: 1,
    lastsMs: 2,
    requests: 1,
    met: true,
  });
  t.equal(well.firstMissedMs, null);
  t.equal(well.lastWaitingMs, 6);
});

t.test("when a hedge starts", async (t) => {
  t.equal(hedgeMs({ p50: 5, p99: 9 }), 100, "at the least");
  t.equal(hedgeMs({ p50: 30, p99: 9 }), 300);
  t.equal(hedgeMs({ p50: 500, p99: 9 }), 1_000, "at the most");
});

t.test("requests between two counts", async (t) => {
  const before = { "10.0.0.1": { sparekey: 3 }, "10.0.0.2": {} };
  const after = { "10.0.0.1": { sparekey: 5, nginx: 1 }, "10.0.0.2": { sparekey: 4 } };
  t.equal(requestsTo("10.0.0.1", "sparekey", before, after), 2);
  t.equal(requestsTo("10.0.0.2", "nginx", before, after), 0);
  t.equal(allRequests("sparekey", before, after), 6);
});

t.test("which runs hold", async (t) => {
  const rows = [
    { name: "a good one", run: run({}), broken: 0 },
    { name: "one late fallback", run: run({ missed: 1, missedLate: 1 }), broken: 1 },
    { name: "two early ones of 1,000", run: run({ missed: 2 }), broken: 0 },
    { name: "three", run: run({ missed: 3 }), broken: 1 },
    { name: "as long as a hedge takes", run: run({ early: waits(300) }), broken: 0 },
    { name: "longer", run: run({ early: waits(301) }), broken: 1 },
    { name: "three times the usual", run: run({ after: waits(30) }), broken: 0 },
    { name: "more", run: run({ after: waits(31) }), broken: 1 },
  ];
  for (const { name, run: one, broken } of rows) t.equal(judge("hung", [one]).broken.length, broken, name);

  const slow = run({ missed: 500, early: waits(900) });
  t.equal(judge("slow", [slow]).holds, true, "one that is slow breaks the last line alone");
  t.equal(judge("slow", [run({ after: waits(60) })]).holds, false);
  t.equal(judge("all", [run({ lastWaitingMs: 6_500 })]).holds, true);
  t.equal(judge("all", [run({ lastWaitingMs: 10_100 })]).holds, false);
  for (const bad of BADS) t.ok(linesFor(bad).length > 0, bad);
});

t.test("19 of 20 runs must hold", async (t) => {
  const late = run({ missed: 1, missedLate: 1 });
  const good = (count: number): RunFigures[] => Array.from({ length: count }, () => run({}));
  t.equal(judge("hung", [...good(19), late]).holds, true);
  t.equal(judge("hung", [...good(18), late, late]).holds, false);
  t.equal(judge("hung", [...good(18), late, run({ after: waits(60) })]).holds, false, "by different lines");
  t.equal(judge("hung", [...good(18), late]).holds, false, "fewer runs have no exception");
  t.equal(judge("hung", [...good(38), late, late]).holds, true);
  t.same(usualOf([run({ quiet: [1, 2] }), run({ quiet: [3] })]), { p50: 2, p99: 3 }, "of all runs");
});

t.test("replicas come and go", async (t) => {
  t.same(dnsProblems(1 / 3, 0), []);
  t.match(dnsProblems(0.1, 0), [/added replica had 10\.0 %/]);
  t.match(dnsProblems(0.3, 0.02), [/left DNS had 2\.0 %/]);
  const figures = changeFigures(
    "sparekey",
    [
      { sent: 0, done: 5, came: VERDICT },
      { sent: 10, done: 30, came: LOGIN },
    ],
    [],
  );
  t.match(figures, { checks: 2, missed: 1, max: 20, odd: ["401 basic-auth: 1"] });
});

t.test("the page", async (t) => {
  const measured = [{ cell: CELL, subject: "sparekey" as const, runs: [run({ missed: 3, missedLate: 3 })] }];
  const extent = { runs: 1, seconds: 30, perSecond: 40, atOnce: 5, settings: {}, remarks: [] };
  const page = pageOf(measured, [], extent);
  t.match(page, "| hung | vip | 2 | sparekey | 1 of 1 | 1 of 1 | 0.30 % |");
  t.match(page, "| 1 of 1 (100 + 200) | **no** (0 of 1) |");
  t.notMatch(page, /NaN|undefined/);
  t.equal(brokenTexts(measured, []).length, 1);
  t.match(pageOf([], [], extent), "Nothing.");
});

t.test("a name with several addresses", async (t) => {
  const port = await freeUdpPort();
  const server = await startDnsServer("127.0.0.1", port, "10.0.0.9");
  t.teardown(() => server.close());
  const resolver = new Resolver();
  resolver.setServers([`127.0.0.1:${port}`]);
  server.set("many.test", ["10.0.0.1", "10.0.0.2", "10.0.0.3"]);
  server.set("one.test", "address");
  server.set("none.test", []);
  const [once, again] = [await resolver.resolve4("many.test"), await resolver.resolve4("many.test")];
  t.same(once.toSorted(), ["10.0.0.1", "10.0.0.2", "10.0.0.3"]);
  t.same(again.toSorted(), once.toSorted());
  t.not(again[0], once[0], "another one is first");
  t.same(await resolver.resolve4("one.test"), ["10.0.0.9"]);
  await t.rejects(resolver.resolve4("none.test"), { code: "ENODATA" });
  await t.rejects(resolver.resolve4("strange.test"), { code: "ENOTFOUND" });
});

function run(changes: Partial<RunFigures>): RunFigures {
  return {
    met: true,
    quiet: [5, 6, 10],
    checks: 1_000,
    missed: 0,
    missedLate: 0,
    early: waits(100),
    after: waits(9),
    asked: 1,
    odd: new Map(),
    firstMissedMs: null,
    lastWaitingMs: 100,
    ...changes,
  };
}

function waits(p99: number): RunFigures["early"] {
  return { p50: 6, p99, max: 2 * p99 };
}

async function freeUdpPort(): Promise<number> {
  const socket = createSocket("udp4");
  socket.bind(0, "127.0.0.1");
  await once(socket, "listening");
  const { port } = socket.address();
  socket.close();
  return port;
}
