#!/usr/bin/env node
/** Arguments, signals and exit codes. The commands are in commands/. */
import { parseArgs, styleText } from "node:util";
import type { CommandIo } from "./commands/command-io.ts";
import type { Watch } from "./commands/probe.ts";
import { defectText } from "./observe/log/events.ts";
import { reexecOnce } from "./process/reexec.ts";
import { version } from "./process/version.ts";

const USAGE = `sparekey ${version()}: a forward-auth proxy that falls back when the auth server cannot decide

  sparekey run [--config FILE]        serve
  sparekey check [--config FILE]      print every problem of a config
  sparekey probe [--config FILE] [--route NAME] [--watch]
                                      send each route's probe, print what came back;
                                      --watch: each second until Ctrl-C
  sparekey passwd USER [--cost N]     read a password, print an htpasswd line
  sparekey schema                     print the config's JSON Schema
  sparekey demo [--outpost VERSION]   the whole scene on this machine, to try; VERSION of
                                      the outpost: 2025.6, 2025.10, 2026.2, embedded, 2026.8

FILE defaults to $SPAREKEY_CONFIG, then config/sparekey.yaml.
--help and --version work everywhere.
`;

const io: CommandIo = {
  out: (text) => process.stdout.write(text),
  err: (text) => process.stderr.write(text),
  env: process.env,
};

/** Exit code 2: the command line cannot be understood. */
async function main(args: readonly string[]): Promise<number> {
  const [command = "", ...rest] = args;
  const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
  if (major < 24 || (major === 24 && minor < 12)) {
    io.err(`sparekey: needs Node 24.12 or newer, and this is ${process.version}\n`);
    return 1;
  }
  if (args.includes("--help") || args.includes("-h")) return print(USAGE);
  if (args.includes("--version")) return print(`${version()}\n`);
  switch (command) {
    case "run":
      return run(rest);
    case "check":
      return check(rest);
    case "probe":
      return probe(rest);
    case "passwd":
      return passwd(rest);
    case "schema":
      return schema(rest);
    case "demo":
      return demo(rest);
    case "":
      throw new UsageError("a command is missing");
    default:
      throw new UsageError(`there is no command ${JSON.stringify(command)}`);
  }
}

async function run(args: readonly string[]): Promise<number> {
  const file = configFile(args);
  reexecOnce();
  const { runCommand } = await import("./commands/run.ts");
  return runCommand(file, { stop: stopSignal(), onReload: reloadSignal() }, io);
}

async function check(args: readonly string[]): Promise<number> {
  const file = configFile(args);
  const { checkCommand } = await import("./commands/check.ts");
  return checkCommand(file, io);
}

async function probe(args: readonly string[]): Promise<number> {
  const { values } = parse(
    args,
    { config: { type: "string" }, route: { type: "string" }, watch: { type: "boolean" } },
    false,
  );
  const { probeCommand } = await import("./commands/probe.ts");
  const watch: Watch | null = values.watch
    ? {
        stopped: stopped(),
        milliseconds: 1_000,
        now: () => new Date(),
        paint: (kind, line) => styleText(COLOURS[kind], line, { stream: process.stdout }),
      }
    : null;
  return probeCommand(values.config ?? defaultConfig(), values.route ?? null, io, watch);
}

const COLOURS = { fine: "green", suspect: "yellow", fault: "red", unknown: "gray" } as const;

async function passwd(args: readonly string[]): Promise<number> {
  const { values, positionals } = parse(args, { cost: { type: "string" } }, true);
  const [user, ...more] = positionals;
  if (user === undefined || more.length > 0) throw new UsageError("passwd takes one USER");
  const { DEFAULT_COST, passwdCommand } = await import("./commands/passwd.ts");
  const cost = values.cost === undefined ? DEFAULT_COST : Number(values.cost);
  return passwdCommand(user, cost, { stdin: process.stdin, out: process.stdout, err: process.stderr });
}

async function schema(args: readonly string[]): Promise<number> {
  parse(args, {}, false);
  const { schemaCommand } = await import("./commands/schema.ts");
  return schemaCommand(io);
}

async function demo(args: readonly string[]): Promise<number> {
  const { values } = parse(args, { outpost: { type: "string" } }, false);
  const { outpostVersions } = await import("./demo/outpost-versions.ts");
  const outpost = outpostVersions.find((version) => version === (values.outpost ?? "2026.2"));
  if (outpost === undefined) throw new UsageError(`--outpost is one of ${outpostVersions.join(", ")}`);
  const { demoCommand, startSparekey } = await import("./commands/demo.ts");
  const writeLine = (line: string): void => io.out(`${line}\n`);
  return demoCommand({
    ...io,
    outpost,
    stopped: stopped(),
    startSparekey: (yaml, dir) => startSparekey(yaml, dir, writeLine),
  });
}

type Options = Readonly<Record<string, { readonly type: "string" | "boolean" }>>;
interface Parsed {
  readonly values: {
    readonly config?: string;
    readonly cost?: string;
    readonly outpost?: string;
    readonly route?: string;
    readonly watch?: boolean;
  };
  readonly positionals: readonly string[];
}

function parse(args: readonly string[], options: Options, allowPositionals: boolean): Parsed {
  try {
    return parseArgs({ args: [...args], options, allowPositionals, strict: true });
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}

function configFile(args: readonly string[]): string {
  const { values } = parse(args, { config: { type: "string" } }, false);
  return values.config ?? defaultConfig();
}

function defaultConfig(): string {
  return process.env.SPAREKEY_CONFIG ?? "config/sparekey.yaml";
}

/** The first SIGTERM or SIGINT starts a drain. A second one ends the process at once, which is the system's default. */
function stopSignal(): Promise<void> {
  return new Promise((resolve) => {
    const stop = (): void => {
      process.removeListener("SIGTERM", stop).removeListener("SIGINT", stop);
      resolve();
    };
    process.on("SIGTERM", stop).on("SIGINT", stop);
  });
}

function stopped(): AbortSignal {
  const controller = new AbortController();
  void stopSignal().then(() => controller.abort());
  return controller.signal;
}

/** SIGHUP ends a process without a listener, so this one is set before the start, when no reload is possible yet. */
function reloadSignal(): (listener: () => void) => void {
  let onReload = (): void => {};
  process.on("SIGHUP", () => onReload());
  return (listener) => {
    onReload = listener;
  };
}

function print(text: string): number {
  io.out(text);
  return 0;
}

class UsageError extends Error {}

/** Prints one line for a person, and returns the exit code. */
function fail(error: unknown): number {
  if (error instanceof UsageError) {
    io.err(`sparekey: ${error.message}; see sparekey --help\n`);
    return 2;
  }
  io.err(`sparekey: ${defectText(error)}\n`);
  return 1;
}

// When the reader of a pipe goes away, as `head` does, that is no defect.
for (const stream of [process.stdout, process.stderr]) stream.on("error", () => process.exit());
process.on("uncaughtException", (error) => process.exit(fail(error)));
process.exitCode = await main(process.argv.slice(2)).catch(fail);
