/** The figures as text: a line for each run and cell while the bench runs, and tables at its end. */
import { spreadOf } from "../statistics.ts";
import { type Bad, type Cell, nameOf, type SubjectName } from "./cells.ts";
import type { ChangeFigures } from "./changes.ts";
import type { RunFigures } from "./figures.ts";
import { hedgeMs, judge, linesFor, usualOf, WITHIN_HEDGE } from "./must-hold.ts";

export interface CellFigures {
  readonly cell: Cell;
  readonly subject: SubjectName;
  readonly runs: readonly RunFigures[];
}

/** What was run, for the head of the page. */
export interface Extent {
  readonly runs: number;
  readonly seconds: number;
  readonly perSecond: number;
  readonly atOnce: number;
  readonly settings: Readonly<Record<string, string>>;
  readonly remarks: readonly string[];
}

const HEADS = [
  "bad",
  "reached by",
  "N",
  "subject",
  "runs that met it",
  "runs with a late fallback",
  "fall back",
  "p99 first 10 s",
  "max",
  "p99 after",
  "max",
  "usual p99",
  "× usual",
  "requests/check",
  "within hedge",
  "holds",
];

export function runText({ cell, subject }: Omit<CellFigures, "runs">, run: RunFigures): string {
  const { met, early, after, odd, missed, missedLate, checks, asked } = run;
  const odds = Array.from(odd, ([text, count]) => `${text}: ${count}`).join(", ");
  const outage =
    cell.bad === "all"
      ? `; first ${shown(run.firstMissedMs)} ms, last waiting ${shown(run.lastWaitingMs)} ms`
      : "";
  return `  ${nameOf(cell)} · ${subject}: ${missed} of ${checks} missed, ${missedLate} late; early p99 ${shown(early.p99)} max ${shown(early.max)}, after p99 ${shown(after.p99)} max ${shown(after.max)}; ${asked.toFixed(2)} requests/check${met ? "" : ", did not meet it"}${outage}${odds === "" ? "" : ` (${odds})`}`;
}

/** What broke the lines that must hold; empty: all hold. */
export function brokenTexts(measured: readonly CellFigures[], changes: readonly ChangeFigures[]): string[] {
  const cells = measured.flatMap(({ cell, subject, runs }) => {
    const { holds, broken } = judge(cell.bad, runs);
    if (holds) return [];
    const lines = broken.map(({ name, runs: count }) => `${name} (broke in ${count} of ${runs.length} runs)`);
    return [`${nameOf(cell)} · ${subject}: ${lines.join("; ")}`];
  });
  const others = changes
    .filter((figures) => !isGood(figures))
    .map(
      ({ scene, reach, subject, missed, checks, odd, problems }) =>
        `${scene} · ${reach} · ${subject}: ${[
          ...(missed > 0 ? [`${missed} of ${checks} checks failed (${odd.join(", ")})`] : []),
          ...problems,
        ].join("; ")}`,
    );
  return [...cells, ...others];
}

export function isGood({ missed, problems }: ChangeFigures): boolean {
  return missed === 0 && problems.length === 0;
}

export function pageOf(
  measured: readonly CellFigures[],
  changes: readonly ChangeFigures[],
  extent: Extent,
): string {
  const { runs, seconds, perSecond, atOnce, settings, remarks } = extent;
  const broken = brokenTexts(measured, changes);
  const outages = measured.filter(({ cell }) => cell.bad === "all");
  return `${[
    "# One of N replicas is bad",
    "",
    `Written by \`npm run bench:one-of-n\`. ${runs} runs of ${seconds} s for each cell, ${perSecond} checks/s for each subject, ${atOnce} scenes at a time. Times are milliseconds, and medians of the runs. A run met the bad replica when that one had answered the subject in the last half second before it turned bad. "Fall back" counts every reply that is not what a healthy replica says. "Holds" is judged by bench/one-of-n/must-hold.ts.`,
    ...(measured.length === 0 ? [] : ["", table(HEADS, measured.map(cellRow))]),
    ...(outages.length === 0 ? [] : ["\n## All replicas hang\n", outageTable(outages)]),
    ...(changes.length === 0 ? [] : ["\n## Replicas come and go\n", changeTable(changes)]),
    "\n## What broke the lines that must hold\n",
    ...(broken.length === 0 ? ["Nothing."] : broken.map((line) => `- ${line}`)),
    "\n## Settings\n",
    ...Object.entries(settings).map(([name, text]) => `- **${name}**: ${text}`),
    ...(remarks.length === 0 ? [] : ["", "Remarks:", "", ...remarks.map((remark) => `- ${remark}`)]),
  ].join("\n")}\n`;
}

function cellRow({ cell, subject, runs }: CellFigures): readonly string[] {
  const median = (of: (run: RunFigures) => number): number => spreadOf(runs.map(of)).median;
  const usual = usualOf(runs);
  const late = runs.filter(({ missedLate }) => missedLate > 0).length;
  const after = median((run) => run.after.p99);
  return [
    cell.bad,
    cell.reach,
    String(cell.n),
    subject,
    `${runs.filter(({ met }) => met).length} of ${runs.length}`,
    `${late} of ${runs.length}`,
    `${(median(({ missed, checks }) => missed / checks) * 100).toFixed(2)} %`,
    shown(median(({ early }) => early.p99)),
    shown(median(({ early }) => early.max)),
    shown(after),
    shown(median((run) => run.after.max)),
    shown(usual.p99),
    (after / usual.p99).toFixed(1),
    median(({ asked }) => asked).toFixed(2),
    withinHedge(cell.bad, runs),
    holdsText(cell.bad, runs),
  ];
}

function withinHedge(bad: Bad, runs: readonly RunFigures[]): string {
  if (!linesFor(bad).includes(WITHIN_HEDGE)) return "–";
  const usual = usualOf(runs);
  const within = runs.filter((run) => WITHIN_HEDGE.holds(run, usual)).length;
  return `${within} of ${runs.length} (${shown(hedgeMs(usual))} + 200)`;
}

function holdsText(bad: Bad, runs: readonly RunFigures[]): string {
  const { holds, brokenRuns } = judge(bad, runs);
  return `${holds ? "yes" : "**no**"} (${runs.length - brokenRuns} of ${runs.length})`;
}

function outageTable(outages: readonly CellFigures[]): string {
  const heads = ["reached by", "N", "subject", "first fallback", "last waiting reply: median", "max"];
  const rows = outages.map(({ cell, subject, runs }) => {
    const first = spreadOf(runs.map(({ firstMissedMs }) => firstMissedMs ?? Number.NaN));
    const last = spreadOf(runs.map(({ lastWaitingMs }) => lastWaitingMs ?? Number.NaN));
    return [cell.reach, String(cell.n), subject, shown(first.median), shown(last.median), shown(last.max)];
  });
  return table(heads, rows);
}

function changeTable(changes: readonly ChangeFigures[]): string {
  const heads = ["scene", "reached by", "subject", "checks", "failed", "p99", "max", "holds"];
  const rows = changes.map((figures) => [
    figures.scene,
    figures.reach,
    figures.subject,
    String(figures.checks),
    String(figures.missed),
    shown(figures.p99),
    shown(figures.max),
    isGood(figures) ? "yes" : "**no**",
  ]);
  return table(heads, rows);
}

function table(heads: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(" | ")} |`;
  return [line(heads), `|${"---|".repeat(heads.length)}`, ...rows.map(line)].join("\n");
}

function shown(milliseconds: number | null): string {
  if (milliseconds === null || Number.isNaN(milliseconds)) return "–";
  return milliseconds < 100 ? milliseconds.toFixed(1) : milliseconds.toFixed(0);
}
