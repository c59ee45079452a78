/** Checks whether sparekey's own counters agree with what its clients saw. */
import type { Client } from "./answers.ts";
import { type Fault, MODES, type Mode, opens, type ReplyKind } from "./oracle.ts";

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
  const expect = (name: string, labels: Readonly<Record<string, string>>, expected: number): void => {
    const value = sum(name, labels);
    if (value === expected) return;
    problems.push(`${name}${JSON.stringify(labels)} is ${value}, and clients saw ${expected}`);
  };
  for (const route of MODES) {
    const ofRoute = seen.filter(({ mode }) => mode === route);
    for (const result of RESULTS) {
      const shown = ofRoute.filter((reply) => resultOf(reply) === result).length;
      expect("sparekey_fallback_total", { route, mode: route, result }, shown);
    }
    for (const [source, kinds] of Object.entries(SOURCES)) {
      const shown = ofRoute.filter(({ kind }) => kinds.includes(kind)).length;
      expect("sparekey_checks_total", { route, source }, shown);
    }
    expect("sparekey_breaker_state", { route, state: "closed" }, 1);
  }
  return [...problems, ...reasonProblems(samples, fault)];
}

function reasonProblems(samples: readonly Sample[], fault: Fault): string[] {
  const counted = samples.filter(({ name, value }) => name === "sparekey_fallback_total" && value > 0);
  const reasons = new Set(counted.map(({ labels }) => labels.reason ?? ""));
  const allowed = new Set([...fault.reasons, ...(opens(fault) ? ["breaker_open"] : [])]);
  const problems = [...reasons]
    .filter((reason) => !allowed.has(reason))
    .map((reason) => `a fallback for ${reason}, which this fault is none of`);
  const [first] = fault.reasons;
  if (first !== undefined && !reasons.has(first)) problems.push(`no fallback for ${first}`);
  return problems;
}

const RESULTS = ["allowed", "challenged", "rejected", "limited", "denied"] as const;
const SOURCES: Readonly<Record<string, readonly ReplyKind[]>> = {
  upstream: ["verdict", "own answer"],
  fallback: ["allow", "login page", "logged in", "deny", "proxy error"],
  shed: ["shed"],
};

function resultOf({ kind, client }: Counted): (typeof RESULTS)[number] | null {
  switch (kind) {
    case "allow":
    case "logged in":
      return "allowed";
    case "login page":
      return client === "guesser" || client === "admin" ? "rejected" : "challenged";
    case "deny":
    case "proxy error":
      return "denied";
    case "verdict":
    case "own answer":
    case "shed":
    case "odd":
      return null;
  }
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
