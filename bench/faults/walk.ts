/** Walks through one fault twice: healthy, broken until some time after the breaker opens, healed until it closes. */
import { monitorEventLoopDelay } from "node:perf_hooks";
import { setTimeout as sleep } from "node:timers/promises";
import type { Serving } from "../serving.ts";
import type { Client } from "./answers.ts";
import { GIVEN_UP, type Load, type Replied, startCrowd, startLoad } from "./load.ts";
import { metricProblems } from "./metrics.ts";
import { type Fault, kindOf, MODES, type Mode, opens, opensAny, type ReplyKind } from "./oracle.ts";
import type { Scene, Stage, Staged } from "./scenes.ts";
import { BAD_HOLDS_MS, READ_MS, startSparekey, urlsOf } from "./sparekey.ts";

const WELL_MS = 800;
const OPEN_MS = 1_500;
const OPENS_WITHIN_MS = 8_000;
const CLOSES_WITHIN_MS = 12_000;
const POLL_MS = 10;
const PROVEN_WITHIN_MS = 15_000;
const PROVEN_POLL_MS = 100;
/** A hung upstream is told within `read` and so much more, and the bench may see it a little later. */
const HUNG_MS = 1_500;
const SLACK_MS = 250;

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
  const { clients, perSecond, fault } = scene;
  const { headersOf } = staged;
  const onReply = (replied: Replied): void => void seen.push(judged(replied, scene));
  const urls = urlsOf(sparekey, staged);
  const load = startLoad({ urls, clients, headersOf, perSecond, patience: fault.patience }, onReply);
  const crowds: Load[] = [];
  const comeAndGo: Pick<Staged, "begin" | "heal"> = {
    begin: async () => {
      await staged.begin();
      if (scene.crowd) crowds.push(startCrowd(scene.crowd, urls, onReply));
    },
    heal: async () => {
      await Promise.all(crowds.splice(0).map((crowd) => crowd.stop()));
      await staged.heal();
    },
  };
  const rounds: Round[] = [];
  try {
    if (!scene.fromTheStart) await untilProven(sparekey, stop);
    await sleep(scene.warmsMs, undefined, { signal: stop });
    for (let round = 0; round < scene.rounds; round += 1) {
      rounds.push(await walkRound(scene, comeAndGo, sparekey, problems, stop));
    }
    await sleep(WELL_MS, undefined, { signal: stop });
  } finally {
    await Promise.all([load, ...crowds].map((one) => one.stop()));
    delays.disable();
  }
  problems.push(
    ...rounds.flatMap((round) => hungProblems(scene.fault, READ_MS[staged.timeouts], round, seen)),
  );
  problems.push(...metricProblems(await sparekey.metrics(), scene.fault, seen));
  const code = await sparekey.stop();
  if (code !== 0) problems.push(`sparekey ended with ${code}`);
  return { scene, rounds, seen, problems, stalledMs: delays.max / 1e6 };
}

async function walkRound(
  scene: Scene,
  staged: Pick<Staged, "begin" | "heal">,
  sparekey: Serving,
  problems: string[],
  stop: AbortSignal,
): Promise<Round> {
  const opened = new Map<Mode, number>();
  const closed = new Map<Mode, number>();
  let isOver = false;
  sparekey.onLine(({ msg, route }) => {
    const mode = MODES.find((name) => name === route);
    if (mode === undefined || isOver) return;
    if (msg === "breaker opened" && !opened.has(mode)) opened.set(mode, performance.now());
    if (msg === "breaker closed" && !closed.has(mode)) closed.set(mode, performance.now());
  });
  const must = MODES.filter((mode) => opens(scene.fault, mode) === "must");
  const haveOpened = (): boolean => must.every((mode) => opened.has(mode));
  const haveClosed = (): boolean => [...opened.keys()].every((mode) => closed.has(mode));

  const begin = performance.now();
  if (!scene.fromTheStart) {
    await sleep(WELL_MS, undefined, { signal: stop });
    await staged.begin();
  }
  const begun = performance.now();
  if (opensAny(scene.fault)) {
    if (!(await until(haveOpened, OPENS_WITHIN_MS, stop))) problems.push("a breaker never opened");
    await sleep(OPEN_MS, undefined, { signal: stop });
  } else await sleep(scene.lastsMs, undefined, { signal: stop });
  const never = [...opened.keys()].filter((mode) => opens(scene.fault, mode) === "never");
  if (never.length > 0) problems.push(`a breaker opened: ${never.join(", ")}`);
  const heal = performance.now();
  await staged.heal();
  const healed = performance.now();
  if (!(await until(haveClosed, CLOSES_WITHIN_MS, stop))) problems.push("a breaker never closed");
  await sleep(BAD_HOLDS_MS + WELL_MS, undefined, { signal: stop });
  isOver = true;
  return { begin, begun, opened, heal, healed, closed };
}

/** Where the machine is slow at first, its first probe may have come too late, and the next one is 10 s later. */
async function untilProven(sparekey: Serving, stop: AbortSignal): Promise<void> {
  const end = performance.now() + PROVEN_WITHIN_MS;
  const isProven = (text: string): boolean => MODES.every((mode) => mode === "none" || provenIn(text, mode));
  while (!isProven(await sparekey.metrics())) {
    if (performance.now() > end) return;
    await sleep(PROVEN_POLL_MS, undefined, { signal: stop });
  }
}

function provenIn(text: string, mode: Mode): boolean {
  return text.includes(`sparekey_probe_proven{route="${mode}"} 1`);
}

async function until(condition: () => boolean, milliseconds: number, stop: AbortSignal): Promise<boolean> {
  const end = performance.now() + milliseconds;
  while (!condition()) {
    if (performance.now() > end) return false;
    await sleep(POLL_MS, undefined, { signal: stop });
  }
  return true;
}

/** Whatever hangs, and whoever gives up: it is known in time, and nobody waits longer. */
function hungProblems(
  fault: Fault,
  read: number,
  { begun, heal, opened }: Round,
  seen: readonly Seen[],
): string[] {
  if (!fault.isSilent || fault.row === 1 || !opensAny(fault)) return [];
  const latest = begun + read + HUNG_MS + SLACK_MS;
  const modes = MODES.filter((mode) => opens(fault, mode) === "must");
  const late = modes.filter((mode) => (opened.get(mode) ?? Number.POSITIVE_INFINITY) > latest);
  const waiting = seen.filter(({ mode, sent, done }) => {
    if (!modes.includes(mode)) return false;
    const isBefore = sent >= begun && sent < (opened.get(mode) ?? heal);
    return isBefore && done > latest;
  });
  return [
    ...(late.length > 0 ? [`opened later than read and 1.5 s after the begin: ${late.join(", ")}`] : []),
    ...(waiting.length > 0 ? [`${waiting.length} replies later than read and 1.5 s after the begin`] : []),
  ];
}

function judged({ mode, client, sent, done, reply }: Replied, { fault }: Scene): Seen {
  const kind = typeof reply === "string" ? kindOfNone(reply) : kindOf(reply, client, fault);
  return { mode, client, sent, done, kind, text: kind === "odd" ? JSON.stringify(reply) : "" };
}

function kindOfNone(reason: string): ReplyKind {
  return reason === GIVEN_UP ? "given up" : "odd";
}
