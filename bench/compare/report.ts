/** The figures as text: tables for the terminal, files, and the README's table. */
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Spread } from "../statistics.ts";
import { type Chart, shortNumber, svgOf } from "./chart.ts";
import type {
  CaseFigures,
  DecisionFigures,
  HungFigures,
  LoginFigures,
  Metric,
  Results,
  SubjectFigures,
} from "./results.ts";

const OURS = "sparekey";
const REFERENCE = "nginx";
const BEGIN = "<!-- measured: begin -->";
const END = "<!-- measured: end -->";

const COLUMNS: readonly { readonly metric: Metric; readonly head: string }[] = [
  { metric: "cpuMicros", head: "CPU µs/check" },
  { metric: "perSecond", head: "checks/s" },
  { metric: "p50Ms", head: "p50 ms" },
  { metric: "p99Ms", head: "p99 ms" },
  { metric: "residentMb", head: "RSS MB" },
];
const HEADS = ["", ...COLUMNS.map(({ head }) => head), "idle RSS MB"];

export function caseText({ name, title, subjects }: CaseFigures): string {
  return `\n${title} (${name})\n${aligned([HEADS, ...subjects.map(cellsOf)])}`;
}

export function loginText(figures: LoginFigures): string {
  return `  ${loginCells(figures).join(" · ")}`;
}

export function hungText(figures: HungFigures): string {
  return `  ${hungCells(figures).join(" · ")}`;
}

export function decisionText({ what, nanos, allocatedBytes }: DecisionFigures): string {
  return `  ${what}: ${nanos.median.toFixed(0)} ns (${nanos.min.toFixed(0)}–${nanos.max.toFixed(0)}), ${allocatedBytes.median.toFixed(0)} bytes allocated`;
}

/** The median, followed by the ratio to the reference: median (min–max). */
function cellsOf({ subject, figures, ratios, idleMb }: SubjectFigures): readonly string[] {
  const cells = COLUMNS.map(({ metric }) => {
    const figure = shortNumber(figures[metric].median);
    return ratios === null ? figure : `${figure}  ×${ratioText(ratios[metric])}`;
  });
  return [subject, ...cells, shortNumber(idleMb)];
}

function ratioText({ min, median, max }: Spread): string {
  return `${shortNumber(median)} (${shortNumber(min)}–${shortNumber(max)})`;
}

function aligned(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  return rows
    .map((row) => `  ${row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join("   ")}`.trimEnd())
    .join("\n");
}

/** Writes latest.json, results.md and the charts into `folder`, and the table between the markers of `readme`. */
export async function writeResults(results: Results, folder: string, readme: string): Promise<void> {
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, "latest.json"), `${JSON.stringify(results, rounded, 2)}\n`);
  await writeFile(join(folder, "results.md"), pageOf(results));
  for (const [name, chart] of Object.entries(chartsOf(results.cases))) {
    await writeFile(join(folder, `${name}.svg`), svgOf(chart));
  }
  const page = await readFile(readme, "utf8");
  const [head, rest] = page.split(BEGIN);
  const tail = rest?.split(END)[1];
  if (head === undefined || tail === undefined) throw new Error(`${readme} has no ${BEGIN} … ${END}`);
  await writeFile(readme, `${head}${BEGIN}\n${summaryOf(results)}\n${END}${tail}`);
}

function chartsOf(cases: readonly CaseFigures[]): Readonly<Record<string, Chart>> {
  const compared = cases.filter(isCompared);
  const common = { highlighted: OURS, note: "median of the runs; the line goes from the least to the most" };
  const groupsOf = (metric: Metric, kind: "figures" | "ratios"): Chart["groups"] =>
    compared.map(({ title, subjects }) => ({
      title,
      bars: subjects.flatMap(({ subject, [kind]: spreads }) =>
        spreads === null ? [] : [{ label: subject, spread: spreads[metric] }],
      ),
    }));
  return {
    cpu: {
      ...common,
      title: "CPU time per check, as a multiple of nginx's (less is better)",
      note: "nginx as it ran in production = 1; median of the runs, the line goes from the least to the most",
      unit: " ×",
      groups: groupsOf("cpuMicros", "ratios"),
      mark: 1,
    },
    p99: {
      ...common,
      title: "p99 of the replies at full load, ms (less is better)",
      unit: " ms",
      groups: groupsOf("p99Ms", "figures"),
      mark: null,
    },
    memory: {
      ...common,
      title: "Resident memory after a run, MB (less is better)",
      unit: " MB",
      groups: groupsOf("residentMb", "figures"),
      mark: null,
    },
  };
}

/** Whether all proxies are compared in the case, because they do the same work in it. */
function isCompared({ subjects }: CaseFigures): boolean {
  return subjects.length > 2;
}

function pageOf(results: Results): string {
  const { versions, settings, cases, hung, logins, decisions, remarks } = results;
  return `${[
    "# What a check costs",
    "",
    "Written by `npm run bench`. Each figure is the median of its runs; behind it, ×, the ratio to the run of the first line just before: median (min–max).",
    ...cases.map(
      ({ title, subjects }) => `\n## ${capital(title)}\n\n${markdownTable(HEADS, subjects.map(cellsOf))}`,
    ),
    "\n## Upstream hangs: the login page instead, once the breaker has opened; 8 clients\n",
    markdownTable(HUNG_HEADS, hung.map(hungCells)),
    "\n## Emergency logins, bcrypt cost 12, while an attacker guesses\n",
    markdownTable(LOGIN_HEADS, logins.map(loginCells)),
    "\n## The decision path alone\n",
    markdownTable(
      ["", "ns per check", "min–max", "bytes allocated"],
      decisions.map(({ what, nanos, allocatedBytes }) => [
        what,
        nanos.median.toFixed(0),
        `${nanos.min.toFixed(0)}–${nanos.max.toFixed(0)}`,
        allocatedBytes.median.toFixed(0),
      ]),
    ),
    "\n## How it was measured\n",
    `${settings.rounds} rounds, ${settings.secondsPerRun} s a run, every run after one of the reference, heads of ${settings.headBytes} bytes. ${coresText(settings.coresApart)} CPU time is user and system of all processes of a subject, as the kernel counts it; RSS is the sum over them, idle: before the first check. wrk does not count the time to connect as latency, and its percentiles make up for checks that it did not send while it waited.`,
    "",
    ...Object.entries(settings.subjects).map(([subject, text]) => `- **${subject}**: ${text}`),
    "",
    `Versions: ${Object.entries(versions)
      .map(([name, version]) => `${name} ${version}`)
      .join(", ")}.`,
    ...(remarks.length === 0 ? [] : ["", "Remarks:", "", ...remarks.map((remark) => `- ${remark}`)]),
  ].join("\n")}\n`;
}

/** The README's table: the ratios of the CPU time, and sparekey's own figures. */
function summaryOf({ cases }: Results): string {
  const compared = cases.filter(isCompared);
  const names =
    compared[0]?.subjects.map(({ subject }) => subject).filter((name) => name !== REFERENCE) ?? [];
  const rows = compared.map(({ title, subjects }) => {
    const ratioOf = (name: string): string => {
      const spread = subjects.find(({ subject }) => subject === name)?.ratios?.cpuMicros;
      return spread === undefined ? "–" : spread.median.toFixed(2);
    };
    const base = subjects[0]?.figures.cpuMicros.median ?? Number.NaN;
    return [title, `${shortNumber(base)} µs`, ...names.map(ratioOf)];
  });
  const [first] = compared;
  const ours = first?.subjects.find(({ subject }) => subject === OURS);
  const memory = shortNumber(ours?.figures.residentMb.median ?? Number.NaN);
  const nginxMemory = shortNumber(first?.subjects[0]?.figures.residentMb.median ?? Number.NaN);
  const ratio = ours?.ratios?.cpuMicros.median.toFixed(1) ?? "–";
  const plain = `Over 32 kept connections a check costs sparekey ${ratio} times the CPU time it costs nginx, and ${memory} MB of memory where nginx takes ${nginxMemory} MB.`;
  return `${plain}\nCPU time per check; behind nginx's, as multiples of it:\n\n${markdownTable(["", REFERENCE, ...names], rows)}`;
}

const HUNG_HEADS = ["", "replies", "p50 ms", "p99 ms", "max ms"];

function hungCells({ subject, replies, p50Ms, p99Ms, maxMs }: HungFigures): readonly string[] {
  return [subject, String(replies), ...[p50Ms, p99Ms, maxMs].map(shortNumber)];
}

const LOGIN_HEADS = [
  "",
  "checks/s with the remembered login",
  "p50 ms",
  "p99 ms",
  "guesses/s",
  "event loop delay p99, max ms",
];

function loginCells(figures: LoginFigures): readonly string[] {
  const { subject, perSecond, p50Ms, p99Ms, guessesPerSecond, loopDelay } = figures;
  const delays =
    loopDelay === null ? "–" : `${shortNumber(loopDelay.p99Ms)}, ${shortNumber(loopDelay.maxMs)}`;
  return [subject, ...[perSecond, p50Ms, p99Ms, guessesPerSecond].map(shortNumber), delays];
}

function markdownTable(heads: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(" | ")} |`;
  return [line(heads), `|${"---|".repeat(heads.length)}`, ...rows.map(line)].join("\n");
}

function coresText(areApart: boolean): string {
  return areApart
    ? "What is measured had one core, wrk and the upstream another."
    : "All shared the machine's cores.";
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** Four digits are enough, because the noise is larger than the rest. */
function rounded(_: string, value: unknown): unknown {
  return typeof value === "number" && !Number.isInteger(value) ? Number(value.toPrecision(4)) : value;
}
