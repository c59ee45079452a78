/** Runs real programs as child processes. A test waits for them with deadlines, and ends them by their pid. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Test } from "tap";
import { PATH } from "./programs.ts";

/** Everything takes far less, unless something is broken. */
const DEADLINE_MS = 15_000;
const POLL_MS = 20;
const PORT_TRIES = 5;

export interface Ended {
  /** null: a signal ended it. */
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface Running {
  readonly pid: number;
  /** All output so far. */
  stdout(): string;
  stderr(): string;
  /** null: it runs. */
  over(): Ended | null;
  signal(name: NodeJS.Signals): void;
  /** Closes its stdout, as when the reader of a pipe ends. */
  closeStdout(): void;
  /** Resolves when it is gone and its output is complete. */
  readonly ended: Promise<Ended>;
  /** Sends SIGTERM, and SIGKILL if that does not help. */
  stop(): Promise<Ended>;
}

export interface StartOptions {
  readonly cwd?: string;
  /** All variables that it gets besides PATH. */
  readonly env?: Readonly<Record<string, string>>;
  /** Written to its stdin, which then ends. */
  readonly input?: string;
}

/** The program is stopped with the test, and with this process at the latest. */
export function start(
  t: Test,
  command: string,
  args: readonly string[],
  options: StartOptions = {},
): Running {
  const [program, ...words] =
    command === process.execPath ? nodeAlone(args, options.env?.NODE_OPTIONS) : [command, ...args];
  const child = spawn(program, words, {
    stdio: ["pipe", "pipe", "pipe"],
    env: { PATH, ...options.env },
    ...(options.cwd !== undefined && { cwd: options.cwd }),
  });
  const running = watch(child, command);
  child.stdin.on("error", () => {});
  child.stdin.end(options.input ?? "");
  t.teardown(running.stop);
  return running;
}

/** tap adds loaders of its own to each node that a test starts: they cost a third of a start, and change what is loaded. */
function nodeAlone(args: readonly string[], nodeOptions: string | undefined): readonly [string, ...string[]] {
  const own = nodeOptions === undefined ? [] : [`NODE_OPTIONS=${nodeOptions}`];
  return ["env", "-u", "NODE_OPTIONS", ...own, process.execPath, ...args];
}

function watch(child: ChildProcess, command: string): Running {
  let stdout = "";
  let stderr = "";
  let over: Ended | null = null;
  child.stdout?.setEncoding("utf8").on("data", (text: string) => {
    stdout += text;
  });
  child.stderr?.setEncoding("utf8").on("data", (text: string) => {
    stderr += text;
  });
  const kill = (): void => {
    child.kill("SIGKILL");
  };
  process.once("exit", kill);
  // A program that is not installed ends too, with "close" after "error".
  child.once("error", (error) => {
    stderr += `${command} does not start: ${error.message}\n`;
  });
  const ended = new Promise<Ended>((resolve) => {
    child.once("close", (code, signal) => {
      process.removeListener("exit", kill);
      over = { code, signal };
      resolve(over);
    });
  });
  return {
    pid: child.pid ?? 0,
    stdout: () => stdout,
    stderr: () => stderr,
    over: () => over,
    signal: (name) => void child.kill(name),
    closeStdout: () => void child.stdout?.destroy(),
    ended,
    stop: async () => {
      if (over !== null) return over;
      child.kill("SIGTERM");
      const late = setTimeout(kill, DEADLINE_MS);
      const result = await ended;
      clearTimeout(late);
      return result;
    },
  };
}

export interface Finished {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program that ends by itself. */
export async function finished(running: Running): Promise<Finished> {
  const { code } = await running.ended;
  return { code, stdout: running.stdout(), stderr: running.stderr() };
}

/** Looks again and again until `look` sees something. Rejects after 15 s with the text of `what`. */
export async function eventually<Value>(
  what: () => string,
  look: () => Value | null | Promise<Value | null>,
): Promise<Value> {
  const deadline = Date.now() + DEADLINE_MS;
  for (;;) {
    const seen = await look();
    if (seen !== null) return seen;
    if (Date.now() > deadline) throw new Error(what());
    await sleep(POLL_MS);
  }
}

/**
 * Starts a program that cannot choose its ports itself. The system chooses them. When another process takes one first,
 * the program ends and is started on other ports.
 */
export async function startOnPorts(
  count: number,
  startOn: (ports: readonly number[]) => Promise<Running>,
): Promise<{ readonly running: Running; readonly ports: readonly number[] }> {
  for (let tries = 1; ; tries += 1) {
    const ports = await freePorts(count);
    const running = await startOn(ports);
    const listening = await Promise.all(ports.map((port) => isListening(running, port)));
    if (!listening.includes(false)) return { running, ports };
    const said = running.stdout() + running.stderr();
    if (tries === PORT_TRIES || !/already in use/i.test(said)) throw new Error(`it does not start:\n${said}`);
  }
}

/** False: the program ended instead. */
async function isListening(running: Running, port: number): Promise<boolean> {
  return eventually(
    () => `port ${port} is not listened on:\n${running.stdout()}${running.stderr()}`,
    async () => {
      if (running.over() !== null) return false;
      return (await accepts(port)) ? true : null;
    },
  );
}

async function accepts(port: number): Promise<boolean> {
  const socket = connect(port, "127.0.0.1");
  try {
    await once(socket, "connect");
    // While nothing listens, a connection may start from the port that it goes to, and so connect to itself.
    return socket.localPort !== port;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}

/** Different ports that were free a moment ago. */
async function freePorts(count: number): Promise<readonly number[]> {
  const servers = Array.from({ length: count }, () => createServer().listen(0, "127.0.0.1"));
  await Promise.all(servers.map((server) => once(server, "listening")));
  const ports = servers.map((server) => {
    const address = server.address();
    return typeof address === "object" && address !== null ? address.port : 0;
  });
  await Promise.all(servers.map((server) => once(server.close(), "close")));
  return ports;
}

/** The folder is removed with the test. Its path is short enough for sockets. */
export async function temporaryFolder(t: Test, parent = tmpdir()): Promise<string> {
  const folder = await mkdtemp(join(parent, "sparekey-test-"));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  return folder;
}
