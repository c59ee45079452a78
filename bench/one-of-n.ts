/**
 * Measures what clients notice when one of several replicas of the upstream turns bad: with sparekey, nginx and Envoy
 * side by side in front of the same replicas. It runs in a network namespace of its own, as root. A whole run takes some
 * hours, because its scenes mostly wait. It ends with 1 when sparekey breaks a line of one-of-n/must-hold.ts.
 *
 *   npm run bench:one-of-n                               everything; writes bench/results/one-of-n.md as it goes
 *   npm run bench:one-of-n -- --quick                    2 runs of 10 s for each cell; writes nothing
 *   npm run bench:one-of-n -- --bad hung,503 --reach vip --n 2 --subject sparekey
 *   npm run bench:one-of-n -- --scene rolling,dns        the scenes in which replicas come and go
 *   npm run bench:one-of-n -- --aim                      the replica that answers sparekey most turns bad
 *   more options: --runs 20, --seconds 30, --rate 40 (checks/s for each subject), --at-once 5 (scenes)
 */
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { parseArgs } from "node:util";
import { type DnsServer, startDnsServer } from "./faults/dns-server.ts";
import { isInside, NAME_SERVER, runInside, whyNot } from "./faults/namespace.ts";
import {
  BADS,
  type Cell,
  COUNTS,
  cellsOf,
  chosen,
  nameOf,
  REACHES,
  SCENES,
  SUBJECTS,
  type SubjectName,
} from "./one-of-n/cells.ts";
import { type ChangeFigures, PER_SECOND, playDns, playRolling } from "./one-of-n/changes.ts";
import { ENVOY_NOTE, findEnvoy } from "./one-of-n/envoy.ts";
import type { RunFigures } from "./one-of-n/figures.ts";
import { brokenTexts, type CellFigures, pageOf, runText } from "./one-of-n/report.ts";
import { play, type Settings, type Staged, stage } from "./one-of-n/run.ts";
import { SETTINGS } from "./one-of-n/subjects.ts";

const PAGE = join(import.meta.dirname, "results/one-of-n.md");
const DNS_PORT = 53;
/** With this delay of our own, the figures say more about the machine than about the subjects. */
const STALL_MS = 100;
const MOST_TRIES = 3;
/** Ten at once were seen to take longer than a start may. */
const STARTS_AT_ONCE = 2;

const { values } = parseArgs({
  options: {
    quick: { type: "boolean", default: false },
    aim: { type: "boolean", default: false },
    scene: { type: "string" },
    bad: { type: "string" },
    reach: { type: "string" },
    n: { type: "string" },
    subject: { type: "string" },
    runs: { type: "string" },
    seconds: { type: "string" },
    rate: { type: "string", default: "40" },
    "at-once": { type: "string", default: "5" },
  },
});
const options = orEnd(() => ({
  // Who names cells wants cells.
  scenes: chosen("scene", values.scene ?? (values.bad && "cells"), SCENES),
  cells: cellsOf(
    chosen("bad", values.bad, BADS),
    chosen("reach", values.reach, REACHES),
    chosen("n", values.n, COUNTS).map(Number),
  ),
  reaches: chosen("reach", values.reach, REACHES),
  subjects: chosen("subject", values.subject, SUBJECTS),
  runs: positive("runs", values.runs ?? (values.quick ? "2" : "20")),
  seconds: positive("seconds", values.seconds ?? (values.quick ? "10" : "30")),
  perSecond: positive("rate", values.rate),
  atOnce: positive("at-once", values["at-once"]),
}));

const obstacle = isInside() ? null : await whyNot();
if (obstacle !== null) {
  console.error(`This bench needs a network namespace, but ${obstacle}.`);
  process.exit(2);
}
if (!isInside()) process.exit(await runInside("one-of-n"));
// All started programs end at the exit of this process, and each of them listens for that.
process.setMaxListeners(0);
process.once("SIGINT", () => process.exit(130)).once("SIGTERM", () => process.exit(143));

const remarks: string[] = [];
if (values.aim) remark("the replica that answered the first subject most turned bad, and not one by turns");
const subjects = present(options.subjects);
const dns = await startDnsServer(NAME_SERVER, DNS_PORT, NAME_SERVER);
let places = 0;
const measured = options.scenes.includes("cells") ? await measureCells(dns) : [];
const changes = await measureChanges(dns);
dns.close();

console.log(`\n${await save(measured, changes)}`);
const isOurs = ({ subject }: { subject: SubjectName }): boolean => subject === "sparekey";
process.exit(brokenTexts(measured.filter(isOurs), changes.filter(isOurs)).length > 0 ? 1 : 0);

/** Writes the page of what was measured so far, unless the bench is quick. */
async function save(cells: readonly CellFigures[], others: readonly ChangeFigures[]): Promise<string> {
  const page = pageOf(cells, others, { ...options, settings: SETTINGS, remarks });
  if (!values.quick) {
    await mkdir(join(PAGE, ".."), { recursive: true });
    await writeFile(PAGE, page);
  }
  return page;
}

function present(names: readonly SubjectName[]): readonly SubjectName[] {
  if (!names.includes("envoy") || findEnvoy() !== null) return names;
  remark(`left out: envoy. ${ENVOY_NOTE}`);
  return names.filter((name) => name !== "envoy");
}

async function measureCells(server: DnsServer): Promise<readonly CellFigures[]> {
  const waiting = options.cells.flatMap((cell) =>
    Array.from({ length: options.runs }, (_, turn) => ({ cell, turn })),
  );
  const runs = new Map<Cell, ReadonlyMap<SubjectName, RunFigures>[]>();
  const all = waiting.length;
  while (waiting.length > 0) {
    const batch = waiting.splice(0, options.atOnce);
    const figures = await playUndisturbed(batch, server);
    for (const [index, { cell }] of batch.entries()) {
      const ofRun = figures[index] ?? new Map();
      runs.set(cell, [...(runs.get(cell) ?? []), ofRun]);
      for (const [subject, one] of ofRun) console.log(runText({ cell, subject }, one));
    }
    console.log(`${all - waiting.length} of ${all} runs`);
    // It may take hours, and be stopped.
    await save(bySubject(runs), []);
  }
  return bySubject(runs);
}

function bySubject(
  runs: ReadonlyMap<Cell, readonly ReadonlyMap<SubjectName, RunFigures>[]>,
): readonly CellFigures[] {
  return Array.from(runs, ([cell, ofCell]) =>
    subjects.map((subject) => ({ cell, subject, runs: ofCell.flatMap((run) => run.get(subject) ?? []) })),
  ).flat();
}

interface Turn {
  readonly cell: Cell;
  readonly turn: number;
}

/** While this process stands still, no check is sent and no reply is seen, so what was measured does not count. */
async function playUndisturbed(
  batch: readonly Turn[],
  server: DnsServer,
): Promise<readonly ReadonlyMap<SubjectName, RunFigures>[]> {
  for (let tries = 1; ; tries += 1) {
    const delays = monitorEventLoopDelay({ resolution: 10 });
    const figures = await playBatch(batch, server, delays);
    const stalledMs = delays.max / 1e6;
    if (stalledMs < STALL_MS) return figures;
    const names = [...new Set(batch.map(({ cell }) => nameOf(cell)))].join(", ");
    const what = `${names}: this bench stood still for ${stalledMs.toFixed(0)} ms`;
    if (tries === MOST_TRIES) {
      remark(`counted all the same: ${what}`);
      return figures;
    }
    console.log(`  Once more. ${what}`);
  }
}

/** All of it starts before any of it is measured, because starts take much CPU. */
async function playBatch(
  batch: readonly Turn[],
  server: DnsServer,
  delays: ReturnType<typeof monitorEventLoopDelay>,
): Promise<readonly ReadonlyMap<SubjectName, RunFigures>[]> {
  const settings: Settings = {
    perSecond: options.perSecond,
    lastsMs: options.seconds * 1_000,
    aimed: values.aim,
  };
  const staged: Staged[] = [];
  try {
    for (let slot = 0; slot < batch.length; slot += STARTS_AT_ONCE) {
      const starts = batch.slice(slot, slot + STARTS_AT_ONCE).map(({ cell }, index) => {
        return stage(cell, subjects, { dns: server, number: nextPlace(), slot: slot + index });
      });
      staged.push(...(await Promise.all(starts)));
    }
    delays.enable();
    return await Promise.all(
      batch.map(({ cell, turn }, index) => {
        const scene = staged[index];
        if (scene === undefined) throw new Error("a scene is missing");
        return play(scene, cell.bad, settings, turn);
      }),
    );
  } finally {
    delays.disable();
    await Promise.all(staged.map((scene) => scene.close()));
  }
}

async function measureChanges(server: DnsServer): Promise<readonly ChangeFigures[]> {
  const figures: ChangeFigures[] = [];
  const setting = () => ({ dns: server, number: nextPlace(), slot: 0 });
  // The nginx of here resolves a name at its start alone.
  const resolving = subjects.filter((name) => name !== "nginx");
  const reaches = options.reaches.filter((reach) => reach !== "list");
  if (options.scenes.includes("rolling")) {
    for (const reach of reaches) {
      console.log(`rolling · ${reach}: three replicas are replaced, at ${PER_SECOND} checks/s`);
      figures.push(...(await playRolling(reach, reach === "vip" ? subjects : resolving, setting())));
    }
  }
  if (options.scenes.includes("dns") && reaches.includes("headless")) {
    console.log("dns: a replica is added to a name, and another one is taken out of it");
    figures.push(...(await playDns(resolving, setting())));
  }
  return figures;
}

function nextPlace(): number {
  places += 1;
  return places;
}

function remark(text: string): void {
  remarks.push(text);
  console.log(`  ${text}`);
}

function positive(option: string, text: string): number {
  const value = Number(text);
  if (Number.isSafeInteger(value) && value > 0) return value;
  throw new Error(`--${option} must be a whole number above 0, and is ${JSON.stringify(text)}`);
}

function orEnd<Value>(read: () => Value): Value {
  try {
    return read();
  } catch (error) {
    console.error(error instanceof Error ? error.message : String(error));
    return process.exit(2);
  }
}
