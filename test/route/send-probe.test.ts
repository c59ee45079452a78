import t from "tap";
import type { Ask } from "../../src/core/ask.ts";
import { NOBODY } from "../../src/core/dialect.ts";
import { probeRequest } from "../../src/core/probe.ts";
import type { LoginHealth, Upstream } from "../../src/core/snapshot.ts";
import type { Outcome, UpstreamRequest } from "../../src/core/types.ts";
import { askLogin, sendProbe } from "../../src/route/send-probe.ts";
import { answering, failing } from "../support/check-world.ts";
import { answer, route, streamedBody } from "../support/fixtures.ts";
import { upstreamAt } from "../support/raw-upstream.ts";

function asking(outcome: Outcome) {
  const asked: { readonly upstream: Upstream; readonly request: UpstreamRequest }[] = [];
  const stop = new AbortController();
  const ask: Ask = async (upstream, request, gone) => {
    asked.push({ upstream, request });
    return gone.aborted ? { kind: "abandoned", isLate: false } : outcome;
  };
  return { asked, stop, deps: { ask, userAgent: "sparekey/1", stop: stop.signal } };
}

/** A probe for nobody in particular. */
const REQUEST = probeRequest(route(), NOBODY, "sparekey/1", null, null);
const LOCATION = ["Location", "https://login.example/"];
const DOWN = { kind: "suspect", reason: "login_down" };
const probeRows = [
  {
    name: "an allow",
    outcome: answering(answer(200)),
    isUp: false,
    looks: 0,
    result: { kind: "fine", passed: true },
  },
  {
    name: "a refusal",
    outcome: answering(answer(403)),
    isUp: false,
    looks: 0,
    result: { kind: "fine", passed: false },
  },
  {
    name: "a login that is there",
    outcome: answering(answer(302, LOCATION)),
    isUp: true,
    looks: 1,
    result: { kind: "fine", passed: true },
  },
  {
    name: "a login that is down",
    outcome: answering(answer(302, LOCATION)),
    isUp: false,
    looks: 1,
    result: DOWN,
  },
  {
    name: "a challenge without a redirect",
    outcome: answering(answer(401)),
    isUp: true,
    looks: 1,
    result: { kind: "fine", passed: true },
  },
  {
    name: "a challenge without a redirect, whose login is down",
    outcome: answering(answer(401)),
    isUp: false,
    looks: 1,
    result: DOWN,
  },
  {
    name: "a fault",
    outcome: answering(answer(503)),
    isUp: false,
    looks: 0,
    result: { kind: "fault", reason: "status_503" },
  },
  {
    name: "no connection",
    outcome: failing("refused"),
    isUp: false,
    looks: 0,
    result: { kind: "fault", reason: "refused" },
  },
  {
    name: "our own limits",
    outcome: { kind: "overload" },
    isUp: false,
    looks: 0,
    result: { kind: "unknown" },
  },
  {
    name: "a request that cannot be written",
    outcome: { kind: "unsendable" },
    isUp: false,
    looks: 0,
    result: { kind: "unknown" },
  },
] as const;
for (const { name, outcome, isUp, looks, result } of probeRows) {
  t.test(`a probe that brings ${name}`, async (t) => {
    const { asked, deps } = asking(outcome);
    const own = upstreamAt(10);
    let looked = 0;
    const isLoginUp = async (): Promise<boolean> => {
      looked += 1;
      return isUp;
    };
    const brought = await sendProbe(route(), own, REQUEST, isLoginUp, deps);
    t.equal(brought.outcome, outcome);
    t.same(brought.finding.result, result);
    t.equal(brought.finding.verdict === null, result.kind !== "fine", "only what is fine is a verdict");
    t.equal(looked, looks);
    t.equal(asked[0]?.upstream, own, "over the connections that are given");
    t.equal(asked[0]?.request, REQUEST);
  });
}

const loginRows = [
  { name: "200", outcome: answering(answer(200)), result: { kind: "fine", passed: true } },
  { name: "299", outcome: answering(answer(299)), result: { kind: "fine", passed: true } },
  { name: "a redirect, which may lead to the same page", outcome: answering(answer(302)), result: DOWN },
  { name: "404", outcome: answering(answer(404)), result: DOWN },
  { name: "503", outcome: answering(answer(503)), result: DOWN },
  { name: "silence", outcome: failing("read_timeout"), result: DOWN },
  { name: "our own limits", outcome: { kind: "overload" }, result: { kind: "unknown" } },
  { name: "the end of sparekey", outcome: { kind: "abandoned", isLate: false }, result: { kind: "unknown" } },
] as const;
function page(host: string, port: number): LoginHealth {
  return { upstream: upstreamAt(port, { servers: [{ host, port }] }), target: "/health?full=1" };
}
for (const { name, outcome, result } of loginRows) {
  t.test(`a look at the login page that brings ${name}`, async (t) => {
    t.same((await askLogin(page("auth.example", 80), asking(outcome).deps)).result, result);
  });
}

t.test("a look at the login page carries nothing but where it goes and who asks", async (t) => {
  const { asked, deps } = asking(answering(answer(200)));
  await askLogin(page("2001:db8::1", 9443), deps);
  const headers = ["Host", "[2001:db8::1]:9443", "User-Agent", "sparekey/1"];
  t.same(asked[0]?.request, {
    method: "GET",
    target: "/health?full=1",
    headers,
    body: null,
    repeatable: true,
    trying: { kind: "once" },
  });
});

t.test("bodies are cut: nobody reads them, and their connections stay taken else", async (t) => {
  const [ofProbe, ofLogin] = [streamedBody("a"), streamedBody("b")];
  await sendProbe(
    route(),
    upstreamAt(9),
    REQUEST,
    async () => true,
    asking(answering(answer(200, [], ofProbe.body))).deps,
  );
  await askLogin(page("a", 1), asking(answering(answer(200, [], ofLogin.body))).deps);
  t.same([ofProbe.cancelled(), ofLogin.cancelled()], [1, 1]);
});

t.test("the end of the route ends a probe, which then says nothing of the upstream", async (t) => {
  const { deps, stop } = asking(failing("refused"));
  stop.abort();
  const { finding } = await sendProbe(route(), upstreamAt(9), REQUEST, async () => true, deps);
  t.same(finding.result, { kind: "unknown" });
});
