/** Checks whether sparekey's own counters agree with what its clients saw. */
import type { Client } from "./answers.ts";
import { isFallback } from "./figures.ts";
import { type Fault, MODES, type Mode, opensAny, type ReplyKind } from "./oracle.ts";

interface Sample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

export interface Counted {
  readonly mode: Mode;
  readonly client: Client;
  readonly kind: ReplyKind;
}

/** What does not agree. `text`: the text of /metrics when nothing is in flight. */
export function metricProblems(text: string, fault: Fault, seen: readonly Counted[]): string[] {
  const samples = parse(text);
  const sum = (name: string, labels: Readonly<Record<string, string>>): number =>
    samples
      .filter((sample) => sample.name === name && fits(sample, labels))
      .reduce((total, { value }) => total + value, 0);
  const problems: string[] = [];
  const expect = (
    name: string,
    labels: Readonly<Record<string, string>>,
    expected: number,
    more = 0,
  ): void => {
    const value = sum(name, labels);
    if (value >= expected && value <= expected + more) return;
    problems.push(`${name}${JSON.stringify(labels)} is ${value}, and clients saw ${expected}`);
  };
  for (const route of MODES) {
    const ofRoute = seen.filter(({ mode }) => mode === route);
    // A reply may be on its way when its gateway gives up.
    const givenUp = ofRoute.filter(({ kind }) => kind === "given up").length;
    for (const result of RESULTS) {
      const shown = ofRoute.filter((reply) => resultOf(reply) === result).length;
      expect("sparekey_fallback_total", { route, mode: route, result }, shown, givenUp);
    }
    for (const source of SOURCES) {
      const shown = ofRoute.filter((reply) => sourceOf(reply) === source).length;
      expect("sparekey_checks_total", { route, source }, shown, givenUp);
    }
    expect("sparekey_breaker_state", { route, state: "closed" }, 1);
  }
  return [...problems, ...reasonProblems(samples, fault)];
}

function reasonProblems(samples: readonly Sample[], fault: Fault): string[] {
  const counted = samples.filter(({ name, value }) => name === "sparekey_fallback_total" && value > 0);
  const reasons = new Set(counted.map(({ labels }) => labels.reason ?? ""));
  const allowed = new Set([
    ...fault.reasons,
    ...(opensAny(fault) ? ["breaker_open"] : []),
    ...(fault.isBusy ? ["read_timeout"] : []),
  ]);
  const problems = [...reasons]
    .filter((reason) => !allowed.has(reason))
    .map((reason) => `a fallback for ${reason}, which this fault is none of`);
  const [first] = fault.reasons;
  if (first !== undefined && !reasons.has(first)) problems.push(`no fallback for ${first}`);
  return problems;
}

const RESULTS = ["allowed", "challenged", "rejected", "limited", "denied"] as const;
const SOURCES = ["upstream", "fallback", "shed"] as const;

function sourceOf(reply: Counted): (typeof SOURCES)[number] | null {
  const { kind } = reply;
  if (kind === "shed") return "shed";
  if (kind === "odd" || kind === "given up") return null;
  return isFallback(reply) ? "fallback" : "upstream";
}

function resultOf(reply: Counted): (typeof RESULTS)[number] | null {
  const { kind, client } = reply;
  if (!isFallback(reply)) return null;
  if (kind === "allow" || kind === "logged in") return "allowed";
  if (kind !== "login page") return "denied";
  return client === "guesser" || client === "admin" ? "rejected" : "challenged";
}

function parse(text: string): readonly Sample[] {
  return text.split("\n").flatMap((line) => {
    const [, name, labels = "", value] = /^(\w+)(?:\{(.*)\})? (\S+)$/.exec(line) ?? [];
    if (name === undefined) return [];
    const pairs = [...labels.matchAll(/(\w+)="([^"]*)"/g)].map(([, key = "", text = ""]) => [key, text]);
    return [{ name, labels: Object.fromEntries(pairs), value: Number(value) }];
  });
}

function fits(sample: Sample, labels: Readonly<Record<string, string>>): boolean {
  return Object.entries(labels).every(([name, value]) => sample.labels[name] === value);
}
