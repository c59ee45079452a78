/** The figures as text: every cell for the terminal, and one table for docs/failure-modes.md. */
import { readFile, writeFile } from "node:fs/promises";
import type { WireMode } from "../../src/core/snapshot.ts";
import { percentile } from "../statistics.ts";
import { type Cell, cellsOf, type Times, timesOf, wrongOf } from "./figures.ts";
import { type Mode, opens, opensAny } from "./oracle.ts";
import { SETTINGS } from "./sparekey.ts";
import type { Walk } from "./walk.ts";

const SHOWN_WRONG = 5;
const BEGIN = "<!-- measured: begin -->";
const END = "<!-- measured: end -->";

const SETTINGS_TEXT = `timeouts ${SETTINGS.timeouts}, breaker ${SETTINGS.breaker}, probe.minInterval ${SETTINGS.minInterval}, limits.headBytes ${SETTINGS.headBytes}; 100 checks/s for each mode where the row does not say otherwise`;

export function settingsText(wire: WireMode): string {
  return `wire: ${wire}, ${SETTINGS_TEXT}`;
}

/** Whether nothing broke the rules. */
export function isGood(walk: Walk): boolean {
  return wrongOf(walk).length === 0 && walk.problems.length === 0;
}

export function textOf(walk: Walk): string {
  const { fault } = walk.scene;
  const wrong = wrongOf(walk);
  return [
    `\n${fault.name} (${typeof fault.row === "number" ? `row ${fault.row}` : fault.row})`,
    ...cellsOf(walk).map((cell) => cellLine(cell, walk)),
    ...wrong
      .slice(0, SHOWN_WRONG)
      .map(({ mode, client, kind, text }) => `  WRONG: ${mode} gave a ${client}: ${kind} ${text}`),
    ...(wrong.length > 0 ? [`  WRONG: ${wrong.length} replies`] : []),
    ...walk.problems.map((problem) => `  PROBLEM: ${problem}`),
  ].join("\n");
}

export const HEADING = `${"  mode".padEnd(12)} ${"breaker".padEnd(18)} ${"p50".padStart(7)} ${"p99".padStart(7)} wrong  replies; times`;

function cellLine(cell: Cell, walk: Walk): string {
  const { mode, breaker, took } = cell;
  const never = breaker === "open" && opens(walk.scene.fault, mode) === "never";
  const replies = [...cell.replies].map(([kind, count]) => `${kind} ${count}`).join(", ");
  return [
    `  ${mode.padEnd(10)}`,
    (never ? "stays closed" : breaker).padEnd(18),
    milliseconds(percentile(took, 0.5)).padStart(7),
    milliseconds(percentile(took, 0.99)).padStart(7),
    String(cell.wrong.length).padStart(5),
    ` ${[replies, ...timesText(cell, timesOf(walk, [mode]))].join("; ")}`,
  ].join(" ");
}

function timesText({ breaker }: Cell, times: Times): readonly string[] {
  const say = (what: string, values: readonly number[]): string[] =>
    values.length === 0 ? [] : [`${what} ${values.map((value) => value.toFixed(0)).join(" and ")} ms`];
  if (breaker === "closed")
    return [...say("first fallback", times.firstFallback), ...say("opened", times.opened)];
  if (breaker === "open") return [];
  return [...say("first verdict", times.firstVerdict), ...say("closed", times.closed)];
}

function milliseconds(value: number): string {
  return Number.isNaN(value) ? "–" : value.toFixed(1);
}

/** Writes the table of these walks between the markers of the page. */
export async function writeTable(file: string, walks: readonly Walk[], wire: WireMode): Promise<void> {
  const page = await readFile(file, "utf8");
  const [head, rest] = page.split(BEGIN);
  const tail = rest?.split(END)[1];
  if (head === undefined || tail === undefined) throw new Error(`${file} has no ${BEGIN} … ${END}`);
  await writeFile(file, `${head}${BEGIN}\n${tableOf(walks, wire)}\n${END}${tail}`);
}

function tableOf(walks: readonly Walk[], wire: WireMode): string {
  const heads = ["fault", "checks", "wrong", "first fallback", "breaker opens", "waits before (p50, p99)"];
  const more = ["waits while open (p50, p99)", "first verdict", "breaker closes"];
  return [
    `With ${settingsText(wire)}. Milliseconds, medians over modes and rounds; p99 over all replies.`,
    "",
    `| ${[...heads, ...more].join(" | ")} |`,
    `|${"---|".repeat(heads.length + more.length)}`,
    ...walks.map(tableRow),
  ].join("\n");
}

function tableRow(walk: Walk): string {
  const times = timesOf(walk);
  const { fault } = walk.scene;
  const median = (values: readonly number[]): string => rounded(percentile(values, 0.5));
  const took = (breaker: Cell["breaker"]): string => {
    const all = cellsOf(walk).flatMap((cell) =>
      cell.breaker === breaker && isFalling(cell.mode) ? cell.took : [],
    );
    return `${rounded(percentile(all, 0.5))}, ${rounded(percentile(all, 0.99))}`;
  };
  const cells = [
    fault.name,
    walk.seen.length,
    wrongOf(walk).length,
    median(times.firstFallback),
    opensAny(fault) ? median(times.opened) : "never",
    took("closed"),
    opensAny(fault) ? took("open") : "–",
    median(times.firstVerdict),
    median(times.closed),
  ];
  return `| ${cells.join(" | ")} |`;
}

/** Mode `none` relays answers, so its waiting times are the upstream's. */
function isFalling(mode: Mode): boolean {
  return mode !== "none";
}

function rounded(value: number): string {
  if (Number.isNaN(value)) return "–";
  return value < 10 ? value.toFixed(1) : value.toFixed(0);
}
