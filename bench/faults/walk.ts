/** Walks through one fault twice: healthy, broken until some time after the breaker opens, healed until it closes. */
import { monitorEventLoopDelay } from "node:perf_hooks";
import { setTimeout as sleep } from "node:timers/promises";
import type { Serving } from "../serving.ts";
import type { Client } from "./answers.ts";
import { type Replied, startLoad } from "./load.ts";
import { metricProblems } from "./metrics.ts";
import { kindOf, MODES, type Mode, opens, type ReplyKind } from "./oracle.ts";
import type { Scene, Stage, Staged } from "./scenes.ts";
import { BAD_HOLDS_MS, startSparekey } from "./sparekey.ts";

const WELL_MS = 800;
const OPEN_MS = 2_500;
const OPENS_WITHIN_MS = 8_000;
const CLOSES_WITHIN_MS = 12_000;
const POLL_MS = 10;
const ROUNDS = 2;

/** `performance.now()` of each step. */
export interface Round {
  /** The fault began between these two. */
  readonly begin: number;
  readonly begun: number;
  readonly opened: ReadonlyMap<Mode, number>;
  /** The fault was healed between these two. */
  readonly heal: number;
  readonly healed: number;
  readonly closed: ReadonlyMap<Mode, number>;
}

export interface Seen {
  readonly mode: Mode;
  readonly client: Client;
  readonly sent: number;
  readonly done: number;
  readonly kind: ReplyKind;
  /** The text of an odd reply. */
  readonly text: string;
}

export interface Walk {
  readonly scene: Scene;
  readonly rounds: readonly Round[];
  readonly seen: readonly Seen[];
  /** What broke the rules, apart from replies. */
  readonly problems: readonly string[];
  /** The longest time for which this process, and with it the upstream, stood still. */
  readonly stalledMs: number;
}

/** Rejects when sparekey does not start, or when `stop` fires. */
export async function walk(scene: Scene, stage: Stage, stop: AbortSignal): Promise<Walk> {
  const staged = await scene.stage(stage);
  try {
    if (scene.fromTheStart) await staged.begin();
    const sparekey = await startSparekey(staged, stage.wire);
    try {
      return await walkWith(scene, staged, sparekey, stop);
    } finally {
      await sparekey.stop();
    }
  } finally {
    await staged.close();
  }
}

async function walkWith(scene: Scene, staged: Staged, sparekey: Serving, stop: AbortSignal): Promise<Walk> {
  const seen: Seen[] = [];
  const problems: string[] = [];
  const delays = monitorEventLoopDelay({ resolution: POLL_MS });
  delays.enable();
  const load = startLoad(sparekey.origins[0] ?? "", (replied) => seen.push(judged(replied, scene)));
  const rounds: Round[] = [];
  try {
    for (let round = 0; round < (scene.fromTheStart ? 1 : ROUNDS); round += 1) {
      rounds.push(await walkRound(scene, staged, sparekey, problems, stop));
    }
    await sleep(WELL_MS, undefined, { signal: stop });
  } finally {
    await load.stop();
    delays.disable();
  }
  problems.push(...metricProblems(await sparekey.metrics(), scene.fault, seen));
  const code = await sparekey.stop();
  if (code !== 0) problems.push(`sparekey ended with ${code}`);
  return { scene, rounds, seen, problems, stalledMs: delays.max / 1e6 };
}

async function walkRound(
  scene: Scene,
  staged: Staged,
  sparekey: Serving,
  problems: string[],
  stop: AbortSignal,
): Promise<Round> {
  const opened = new Map<Mode, number>();
  const closed = new Map<Mode, number>();
  sparekey.onLine(({ msg, route }) => {
    const mode = MODES.find((name) => name === route);
    if (mode === undefined) return;
    if (msg === "breaker opened" && !opened.has(mode)) opened.set(mode, performance.now());
    if (msg === "breaker closed" && !closed.has(mode)) closed.set(mode, performance.now());
  });
  const all = (map: ReadonlyMap<Mode, number>) => (): boolean => map.size === MODES.length;

  const begin = performance.now();
  if (!scene.fromTheStart) {
    await sleep(WELL_MS, undefined, { signal: stop });
    await staged.begin();
  }
  const begun = performance.now();
  if (opens(scene.fault)) {
    if (!(await until(all(opened), OPENS_WITHIN_MS, stop))) problems.push("a breaker never opened");
    await sleep(OPEN_MS, undefined, { signal: stop });
  } else {
    await sleep(scene.lastsMs, undefined, { signal: stop });
    if (opened.size > 0) problems.push(`a breaker opened: ${[...opened.keys()].join(", ")}`);
  }
  const heal = performance.now();
  await staged.heal();
  const healed = performance.now();
  if (opens(scene.fault) && !(await until(all(closed), CLOSES_WITHIN_MS, stop))) {
    problems.push("a breaker never closed");
  }
  await sleep(BAD_HOLDS_MS + WELL_MS, undefined, { signal: stop });
  return { begin, begun, opened, heal, healed, closed };
}

async function until(condition: () => boolean, milliseconds: number, stop: AbortSignal): Promise<boolean> {
  const end = performance.now() + milliseconds;
  while (!condition()) {
    if (performance.now() > end) return false;
    await sleep(POLL_MS, undefined, { signal: stop });
  }
  return true;
}

function judged({ mode, client, sent, done, reply }: Replied, { fault }: Scene): Seen {
  const kind = typeof reply === "string" ? "odd" : kindOf(reply, client, fault);
  return { mode, client, sent, done, kind, text: kind === "odd" ? JSON.stringify(reply) : "" };
}
