import { performance } from "node:perf_hooks";
import { setTimeout as sleep } from "node:timers/promises";
import { loadConfig } from "../config/load.ts";
import { formatProblem } from "../config/problem.ts";
import { classify, lacksHeader } from "../core/classify.ts";
import { configuredSubject } from "../core/dialect.ts";
import { oddRefusal, type ProbeResult, probeRequest } from "../core/probe.ts";
import type { Route } from "../core/snapshot.ts";
import { unprovenSubject } from "../core/templates.ts";
import type { Outcome } from "../core/types.ts";
import { version } from "../process/version.ts";
import { createLoginPages } from "../route/login-pages.ts";
import { sendProbe } from "../route/send-probe.ts";
import { createUpstreams, type Upstreams } from "../upstream/upstreams.ts";
import type { CommandIo } from "./command-io.ts";

/** Each route is probed again and again, one probe at a time, until `stopped`. */
export interface Watch {
  readonly stopped: AbortSignal;
  /** From the begin of a probe to the begin of the next, unless the probe takes longer. */
  readonly milliseconds: number;
  /** Wall clock. */
  now(): Date;
  /** Colours a line for a terminal. */
  paint(kind: ProbeResult["kind"], line: string): string;
}

/**
 * Sends each route's probe and prints the answer, the verdict and the time. `name`: the only route to probe; null: all.
 * `watch`: how to go on probing; null: probe once. Exit code 0: the last probe of each route got a verdict that a
 * healthy upstream gives to it; 1: there was a fault, another 4xx than 401 from a route with logins, a bad config or no
 * such route.
 */
export async function probeCommand(
  configFile: string,
  name: string | null,
  io: CommandIo,
  watch: Watch | null = null,
): Promise<number> {
  const loaded = await loadConfig(configFile, io.env);
  if (!loaded.ok) {
    for (const problem of loaded.problems) io.err(`${formatProblem(problem)}\n`);
    return 1;
  }
  const routes = loaded.snapshot.routes.filter((route) => name === null || route.name === name);
  if (routes.length === 0) {
    const known = loaded.snapshot.routes.map((route) => route.name).join(", ");
    io.err(`sparekey probe: there is no route ${JSON.stringify(name)}; there are ${known}\n`);
    return 1;
  }
  const upstreams = createUpstreams({ now: () => performance.now(), asksInBytes: () => false });
  const width = Math.max(...routes.map((route) => route.name.length));
  const lineOf = ({ route, text }: Probed): string => `${route.name.padEnd(width)}  ${text}`;
  const print = (probed: Probed, { now, paint }: Watch): void => {
    const time = now().toTimeString().slice(0, "hh:mm:ss".length);
    io.out(`${paint(probed.result.kind, `${time}  ${lineOf(probed)}`)}\n`);
  };
  const never = new AbortController().signal;
  const probes = watch
    ? await Promise.all(routes.map((route) => probeOnAndOn(route, upstreams, watch, print)))
    : await Promise.all(routes.map((route) => probe(route, upstreams, never)));
  upstreams.close();
  if (!watch) for (const probed of probes) io.out(`${lineOf(probed)}\n`);
  return probes.every(({ result, isRefused }) => result.kind === "fine" && !isRefused) ? 0 : 1;
}

/** Resolves with the last finished probe. */
async function probeOnAndOn(
  route: Route,
  upstreams: Pick<Upstreams, "ask">,
  watch: Watch,
  print: (probed: Probed, watch: Watch) => void,
): Promise<Probed> {
  const { stopped, milliseconds } = watch;
  for (let last: Probed | null = null; ; ) {
    const pause = sleep(milliseconds, null, { signal: stopped }).catch(() => {});
    const probed = await probe(route, upstreams, stopped);
    if (stopped.aborted) return last ?? probed;
    print(probed, watch);
    last = probed;
    await pause;
    if (stopped.aborted) return last;
  }
}

interface Probed {
  readonly route: Route;
  readonly result: ProbeResult;
  /** The upstream does not know what the probe asks for. */
  readonly isRefused: boolean;
  readonly text: string;
}

async function probe(route: Route, upstreams: Pick<Upstreams, "ask">, stop: AbortSignal): Promise<Probed> {
  const deps = { ask: upstreams.ask, userAgent: `sparekey/${version()}`, stop };
  const pages = createLoginPages(route, deps, () => performance.now());
  const subject = unprovenSubject(route.probe.hosts.map(configuredSubject), null);
  const request = probeRequest(route, subject, deps.userAgent, null, null);
  const begin = performance.now();
  const { outcome, finding } = await sendProbe(route, route.upstream, request, pages.areUpNow, deps);
  const milliseconds = Math.round(performance.now() - begin);
  const { result } = finding;
  const refused = oddRefusal(finding, route);
  const text = `${describe(outcome, result, route)}  ${milliseconds} ms${refused === null ? "" : WRONG_HOST}`;
  return { route, result, isRefused: refused !== null, text };
}

const WRONG_HOST =
  "  warning: no healthy upstream with logins answers so to a probe; set probe.hosts to a host that it knows";

function describe(outcome: Outcome, result: ProbeResult, route: Route): string {
  if (outcome.kind === "failure") return `no answer  fault ${outcome.reason}`;
  if (outcome.kind !== "answer") return `not asked  ${outcome.kind}`;
  const { status } = outcome.answer;
  const verdict = classify(outcome, route.fault, () => false);
  if (verdict.kind === "allow" && lacksHeader(verdict.answer, route.requireHeaders)) {
    const lacking = route.requireHeaders.filter((name) => lacksHeader(verdict.answer, [name]));
    return `${status}  deny (lacks ${lacking.join(", ")})`;
  }
  if (result.kind === "fine") return `${status}  ${verdict.kind}`;
  return result.kind === "unknown" ? `${status}` : `${status}  ${result.kind} ${result.reason}`;
}
