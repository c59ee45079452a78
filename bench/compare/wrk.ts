/** Runs wrk as the gateway, with heads as Traefik sends them, and reads its figures. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";

export interface Load {
  readonly connections: number;
  readonly seconds: number;
  /** Whether each check has `Connection: close`. */
  readonly isClosing: boolean;
  /** Bytes of the Cookie header. */
  readonly cookieBytes: number;
  /** The Authorization of every check; null: none. */
  readonly authorization: string | null;
}

export interface WrkFigures {
  readonly replies: number;
  readonly seconds: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** Replies with a status of 400 or more. */
  readonly refusals: number;
  /** Connections that failed, broke off or timed out. */
  readonly failures: number;
}

/** Longer than any reply may take. */
const TIMEOUT = "30s";
const COOKIE_BYTES = 240;
/** How many different guesses there are before they repeat. */
const GUESSES = 4_096;
const MARK = "figures ";

export const PLAIN: Load = {
  connections: 32,
  seconds: 2,
  isClosing: false,
  cookieBytes: COOKIE_BYTES,
  authorization: null,
};

/** About 800 bytes, as Traefik's ForwardAuth sends them for a browser's request. */
export function headersOf({ isClosing, cookieBytes, authorization }: Load): Readonly<Record<string, string>> {
  return {
    Host: "app.example.com",
    "User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
    Accept: "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
    "Accept-Language": "en-US,en;q=0.5",
    "Accept-Encoding": "gzip, deflate, br",
    Cookie: cookieOf(cookieBytes),
    "X-Forwarded-For": "203.0.113.24",
    "X-Forwarded-Host": "app.example.com",
    "X-Forwarded-Method": "GET",
    "X-Forwarded-Port": "443",
    "X-Forwarded-Proto": "https",
    "X-Forwarded-Server": "traefik-6f7c9d5b8-x2k4q",
    "X-Forwarded-Uri": "/library/items?page=3",
    "X-Real-Ip": "203.0.113.24",
    ...(authorization !== null && { Authorization: authorization }),
    ...(isClosing && { Connection: "close" }),
  };
}

/** Many session cookies, as outposts leave them behind. */
function cookieOf(bytes: number): string {
  const one = "authentik_proxy_5f2c9a1e=MTcxMzM0OTk4N3xTbE9HUmtOWFJWcFVaMGQ; ";
  return one.repeat(Math.ceil(bytes / one.length)).slice(0, bytes);
}

/** `prefix` begins the command line. Rejects when wrk fails; `stop` ends it early. */
export async function runWrk(
  url: string,
  load: Load,
  prefix: readonly string[],
  script = scriptFor(load),
): Promise<WrkFigures> {
  const folder = await mkdtemp(join(tmpdir(), "sparekey-bench-wrk-"));
  const file = join(folder, "check.lua");
  await writeFile(file, script);
  const { connections, seconds } = load;
  const options = ["-t1", `-c${connections}`, `-d${seconds}s`, "--timeout", TIMEOUT, "--latency", "-s", file];
  const [program = "", ...args] = [...prefix, "wrk", ...options, url];
  const child = spawn(program, args, { stdio: ["ignore", "pipe", "pipe"] });
  const kill = (): void => void child.kill("SIGKILL");
  process.once("exit", kill);
  try {
    const [output, errors] = await Promise.all([
      text(child.stdout),
      text(child.stderr),
      once(child, "close"),
    ]);
    const figures = parseFigures(output);
    if (figures === null) throw new Error(`wrk does not say what it saw: ${errors || output}`);
    return figures;
  } finally {
    process.removeListener("exit", kill);
    await rm(folder, { recursive: true });
  }
}

/** null: the text holds no figures. */
export function parseFigures(output: string): WrkFigures | null {
  const line = output.split("\n").find((one) => one.startsWith(MARK));
  if (line === undefined) return null;
  const numbers = line.slice(MARK.length).split(" ").map(Number);
  const [replies, microseconds, p50, p99, refusals, connect, read, write, timeout] = numbers;
  if (timeout === undefined || numbers.some(Number.isNaN)) return null;
  return {
    replies: replies ?? 0,
    seconds: (microseconds ?? 0) / 1e6,
    p50Ms: (p50 ?? 0) / 1e3,
    p99Ms: (p99 ?? 0) / 1e3,
    refusals: refusals ?? 0,
    failures: (connect ?? 0) + (read ?? 0) + (write ?? 0) + timeout,
  };
}

function scriptFor(load: Load): string {
  const lines = Object.entries(headersOf(load)).map(
    ([name, value]) => `wrk.headers[${lua(name)}] = ${lua(value)}`,
  );
  return `${lines.join("\n")}\n${DONE}`;
}

/** Sends a new wrong password from a new address each time, `delayMs` after each reply. */
export function guessingScript(load: Load, user: string, delayMs: number): string {
  const guesses = Array.from({ length: GUESSES }, (_, index) => {
    const address = `198.51.${Math.floor(index / 250)}.${1 + (index % 250)}`;
    return `{ ${lua(`Basic ${btoa(`${user}:guess ${index}`)}`)}, ${lua(address)} },`;
  });
  return `${scriptFor(load)}
local guesses = {
${guesses.join("\n")}
}
local turn = 0
request = function()
  turn = turn % #guesses + 1
  wrk.headers["Authorization"] = guesses[turn][1]
  wrk.headers["X-Forwarded-For"] = guesses[turn][2]
  return wrk.format()
end
delay = function() return ${delayMs} end
`;
}

/** The script prints exact figures, because wrk's own report rounds them. */
const DONE = `
done = function(summary, latency)
  local errors = summary.errors
  io.write(string.format("${MARK}%d %d %d %d %d %d %d %d %d\\n",
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
    errors.status, errors.connect, errors.read, errors.write, errors.timeout))
end
`;

function lua(text: string): string {
  return JSON.stringify(text);
}

/** The head of a check of this load, in bytes. */
export function headBytes(load: Load, path: string): number {
  const lines = Object.entries(headersOf(load)).map(([name, value]) => `${name}: ${value}\r\n`);
  return `GET ${path} HTTP/1.1\r\n${lines.join("")}\r\n`.length;
}
