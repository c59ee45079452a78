import { performance } from "node:perf_hooks";
import { loadConfig } from "../config/load.ts";
import { formatProblem } from "../config/problem.ts";
import { classify, lacksHeader } from "../core/classify.ts";
import { BARE, confirms, type Finding } from "../core/probe.ts";
import type { Route } from "../core/snapshot.ts";
import type { Outcome } from "../core/types.ts";
import { createExchanger, type Exchanger } from "../io/exchange.ts";
import { askLogin, sendProbe } from "../io/probe.ts";
import { version } from "../version.ts";
import type { CommandIo } from "./command-io.ts";

/**
 * Sends each route's probe once and prints what came back, how it classifies and how long it took.
 * `name`: only that route; null: all. Exit code 0: all verdicts; 1: a fault, a bad config or no such route.
 */
export async function probeCommand(configFile: string, name: string | null, io: CommandIo): Promise<number> {
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
  const exchanger = createExchanger();
  const results = await Promise.all(routes.map((route) => probe(route, exchanger)));
  exchanger.close();
  const width = Math.max(...routes.map((route) => route.name.length));
  for (const { route, text } of results) io.out(`${route.name.padEnd(width)}  ${text}\n`);
  return results.every(({ finding }) => finding.kind === "fine") ? 0 : 1;
}

interface Probed {
  readonly route: Route;
  readonly finding: Finding;
  readonly text: string;
}

async function probe(route: Route, exchanger: Exchanger): Promise<Probed> {
  const ports = {
    exchange: exchanger.exchange,
    userAgent: `sparekey/${version()}`,
    stop: new AbortController().signal,
  };
  const isLoginUp = async (): Promise<boolean> => !confirms(await askLogin(route, ports));
  const begin = performance.now();
  const { outcome, finding } = await sendProbe(route, route.upstream, BARE, isLoginUp, ports);
  const milliseconds = Math.round(performance.now() - begin);
  return { route, finding, text: `${describe(outcome, finding, route)}  ${milliseconds} ms` };
}

function describe(outcome: Outcome, finding: Finding, route: Route): string {
  if (outcome.kind === "failure") return `no answer  fault ${outcome.reason}`;
  if (outcome.kind !== "answer") return `not asked  ${outcome.kind}`;
  const { status } = outcome.answer;
  const verdict = classify(outcome, route.fault);
  if (verdict.kind === "allow" && lacksHeader(verdict.answer, route.requireHeaders)) {
    const lacking = route.requireHeaders.filter((name) => lacksHeader(verdict.answer, [name]));
    return `${status}  deny (lacks ${lacking.join(", ")})`;
  }
  if (finding.kind === "fine") return `${status}  ${verdict.kind}`;
  return finding.kind === "unknown" ? `${status}` : `${status}  ${finding.kind} ${finding.reason}`;
}
