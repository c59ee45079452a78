/** The one source of the alerts, as Prometheus wants it: the spec of the PrometheusRule is a rule file. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { parse } from "yaml";

export const MONITORING = join(import.meta.dirname, "../../k8s/monitoring");

export interface Rule {
  readonly alert?: string;
  readonly record?: string;
  readonly expr: string;
  readonly for?: string;
  readonly keep_firing_for?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
}

export interface AlertingRule extends Rule {
  readonly alert: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
}

export interface RuleFile {
  readonly groups: readonly { readonly name: string; readonly rules: readonly Rule[] }[];
}

export async function readRules(): Promise<RuleFile> {
  const { spec } = parse(await readFile(join(MONITORING, "prometheus-rule.yaml"), "utf8"));
  return spec;
}

export function allRules({ groups }: RuleFile): readonly Rule[] {
  return groups.flatMap(({ rules }) => rules);
}

export function alertingRules(file: RuleFile): readonly AlertingRule[] {
  return allRules(file).flatMap((rule) =>
    rule.alert === undefined ? [] : [{ labels: {}, annotations: {}, ...rule, alert: rule.alert }],
  );
}

/** All the rules wait for, and look back at, takes a hundredth of its time. */
export function inAHurry({ groups }: RuleFile): RuleFile {
  return {
    groups: groups.map(({ name, rules }) => ({
      name,
      rules: rules.map((rule) => ({
        ...rule,
        expr: rule.expr.replace(/\[\w+\]/g, (window) => `[${hundredth(window.slice(1, -1))}]`),
        ...(rule.for !== undefined && { for: hundredth(rule.for) }),
        ...(rule.keep_firing_for !== undefined && { keep_firing_for: hundredth(rule.keep_firing_for) }),
      })),
    })),
  };
}

function hundredth(duration: string): string {
  const [, count = "", unit = ""] = /^(\d+)(m|s)$/.exec(duration) ?? [];
  if (count === "") throw new Error(`a duration in minutes or seconds is expected: ${duration}`);
  return `${Number(count) * (unit === "m" ? 600 : 10)}ms`;
}
