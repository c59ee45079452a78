/**
 * Runs every fault of an upstream × every fallback mode × every state of the breaker with real sparekey. For each cell
 * it prints the replies by kind, their p50 and p99, the times to the first fallback and to recovery, and how many
 * replies were wrong. By the oracle in faults/oracle.ts no reply may be wrong. A whole run takes about four minutes
 * and writes the table in docs/failure-modes.md.
 *
 *   node bench/faults.ts                 everything; as root, in a network namespace of its own
 *   node bench/faults.ts --only hang     one fault, and those whose names begin with it: hang-from-the-start
 *   node bench/faults.ts --wire fastify  on the slow path; does not write the table
 */
import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs, promisify } from "node:util";
import { CROWD_SCENES } from "./faults/crowd-scenes.ts";
import { type DnsServer, startDnsServer } from "./faults/dns-server.ts";
import { FIELD_SCENES } from "./faults/field-scenes.ts";
import { isInside, NAME_SERVER, runInside, whyNot } from "./faults/namespace.ts";
import { HEADING, isGood, settingsText, textOf, writeTable } from "./faults/report.ts";
import { type Scene, SCENES as SINGLE_SCENES, type Stage } from "./faults/scenes.ts";
import type { KeyPair } from "./faults/stand-in.ts";
import { type Walk, walk } from "./faults/walk.ts";
import { WIRE_OPTION, wireOf } from "./wire.ts";

const SCENES = [...SINGLE_SCENES, ...CROWD_SCENES, ...FIELD_SCENES];
const PAGE = join(import.meta.dirname, "../docs/failure-modes.md");
/** With two scenes of full load at a time, and one of little, the machine still answers promptly. */
const AT_ONCE = { full: 2, little: 1 } as const;
const LITTLE_PER_SECOND = 20;
const DNS_PORT = 53;
/** Half of the shortest timeout of the config. */
const STALL_MS = 150;
const MOST_TRIES = 3;
const INTERRUPTED = new Error("interrupted");

const { values } = parseArgs({ options: { only: { type: "string" }, wire: WIRE_OPTION } });
const wire = wireOf(values.wire);
const wanted = SCENES.filter(({ fault }) => values.only === undefined || isWanted(fault.name));
if (wanted.length === 0) {
  const names = SCENES.map(({ fault }) => fault.name).join(", ");
  console.error(`There is no fault ${JSON.stringify(values.only)}. There are: ${names}`);
  process.exit(2);
}

/** `outpost` stands for all rows of outposts. */
function isWanted(name: string): boolean {
  const { only } = values;
  return only === undefined || name === only || name.startsWith(`${only}-`);
}

const obstacle = isInside() ? null : await whyNot();
process.exit(obstacle === null && !isInside() ? await runInside() : await run(obstacle));

async function run(obstacle: string | null): Promise<number> {
  const scenes = wanted.filter(({ needsNamespace }) => obstacle === null || !needsNamespace);
  const left = wanted.filter((scene) => !scenes.includes(scene)).map(({ fault }) => fault.name);
  if (left.length > 0) {
    console.log(`No network namespace, because ${obstacle}; left out: ${left.join(", ")}.`);
  }
  if (scenes.length === 0) return 1;
  const stop = new AbortController();
  const interrupt = (): void => stop.abort(INTERRUPTED);
  // Ctrl-C may come twice: from the terminal and from the process outside.
  process.on("SIGINT", interrupt).on("SIGTERM", interrupt);
  const dns = obstacle === null ? await startDnsServer(NAME_SERVER, DNS_PORT, "127.0.0.1") : null;
  const folder = await mkdtemp(join(tmpdir(), "sparekey-bench-"));
  console.log(`With ${settingsText(wire)}.\n\n${HEADING}`);
  try {
    const walks = await walkAll(scenes, stageWith(dns, folder), stop);
    const isWhole = values.only === undefined && left.length === 0 && wire === "auto";
    return await conclude(walks, isWhole);
  } catch (error) {
    if (stop.signal.reason !== INTERRUPTED) throw error;
    console.log("\nStopped.");
    return 130;
  } finally {
    dns?.close();
    await rm(folder, { recursive: true });
  }
}

/** The results are in the order of `scenes`. A scene that fails ends the others. */
async function walkAll(
  scenes: readonly Scene[],
  stage: Stage,
  stop: AbortController,
): Promise<readonly Walk[]> {
  const walks = new Map<Scene, Walk>();
  const isLittle = ({ perSecond, crowd }: Scene): boolean => perSecond <= LITTLE_PER_SECOND && crowd === null;
  const waiting = { full: scenes.filter((one) => !isLittle(one)), little: scenes.filter(isLittle) };
  const walkNext = async (left: Scene[]): Promise<void> => {
    for (let scene = left.shift(); scene !== undefined; scene = left.shift()) {
      walks.set(scene, await walkUndisturbed(scene, stage, stop.signal));
    }
  };
  const kinds = [
    ...Array.from({ length: AT_ONCE.full }, () => waiting.full),
    ...Array.from({ length: AT_ONCE.little }, () => waiting.little),
  ];
  const walkers = kinds.map((left) =>
    walkNext(left).catch((error: unknown) => {
      stop.abort(error);
      throw error;
    }),
  );
  const settled = await Promise.allSettled(walkers);
  const failed = settled.find((one) => one.status === "rejected");
  if (failed) throw failed.reason;
  return scenes.flatMap((scene) => walks.get(scene) ?? []);
}

/** A walk that our own stalls spoiled says nothing about the rules, so it is reported and repeated. */
async function walkUndisturbed(scene: Scene, stage: Stage, stop: AbortSignal): Promise<Walk> {
  for (let tries = 1; ; tries += 1) {
    const walked = await walk(scene, stage, stop);
    console.log(textOf(walked));
    const disturbance = disturbanceOf(walked);
    if (isGood(walked) || disturbance === null || tries === MOST_TRIES) return walked;
    console.log(`  Too little CPU: ${disturbance}. Once more.`);
  }
}

/**
 * While this process stands still, its upstream is silent too and rightly counts as broken. While sparekey stands
 * still, it sheds checks, and a probe that it could not send confirms nothing.
 */
function disturbanceOf({ stalledMs, seen }: Walk): string | null {
  if (stalledMs >= STALL_MS) return `this bench stood still for ${stalledMs.toFixed(0)} ms`;
  const shed = seen.filter(({ kind }) => kind === "shed").length;
  return shed === 0 ? null : `sparekey shed ${shed} checks`;
}

async function conclude(walks: readonly Walk[], isWhole: boolean): Promise<number> {
  const bad = walks.filter((walked) => !isGood(walked));
  const replies = walks.reduce((total, { seen }) => total + seen.length, 0);
  if (bad.length > 0) {
    console.log(
      `\n${replies} replies over wire: ${wire}; not as they must be: ${bad.map(({ scene }) => scene.fault.name).join(", ")}`,
    );
    return 1;
  }
  console.log(`\n${replies} replies over wire: ${wire}, none wrong; what sparekey counted is what was seen.`);
  if (isWhole) await writeTable(PAGE, walks, wire);
  return 0;
}

function stageWith(dns: DnsServer | null, folder: string): Stage {
  let addresses = 0;
  return {
    wire,
    dns,
    goodPair: () => newPair(folder, "good"),
    strangerPair: () => newPair(folder, "stranger"),
    freeAddress: () => {
      addresses += 1;
      return `10.98.0.${addresses}`;
    },
  };
}

/** A self-signed certificate for 127.0.0.1. */
async function newPair(folder: string, name: string): Promise<KeyPair> {
  const [key, cert] = [join(folder, `${name}.key`), join(folder, `${name}.pem`)];
  const kind = ["-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"];
  const subject = ["-subj", `/CN=${name}`, "-addext", "subjectAltName=IP:127.0.0.1"];
  await promisify(execFile)("openssl", ["req", ...kind, ...subject, "-keyout", key, "-out", cert]);
  return { key: await readFile(key, "utf8"), cert: await readFile(cert, "utf8") };
}
