/** `sparekey passwd`: reads a password and prints an htpasswd line. The password is never shown or stored. */
import { hash } from "bcrypt";

export const DEFAULT_COST = 12;
const COSTS = { min: 10, max: 16 };
/** bcrypt ignores all further bytes. */
const MAX_PASSWORD_BYTES = 72;
const MAX_NAME_BYTES = 255;
/** No password is longer, and an endless pipe must not fill the memory. */
const MAX_LINE_CHARS = 4096;
const CONTROL = /\p{Cc}/u;

/** The parts of process.stdin that are used. */
interface PasswordSource {
  readonly isTTY?: boolean;
  setRawMode?(raw: boolean): unknown;
  setEncoding(encoding: "utf8"): unknown;
  resume(): unknown;
  pause(): unknown;
  on(event: "data", listener: (chunk: string) => void): unknown;
  on(event: "end" | "close" | "error", listener: () => void): unknown;
  off(event: "data", listener: (chunk: string) => void): unknown;
  off(event: "end" | "close" | "error", listener: () => void): unknown;
}

interface PasswdIo {
  readonly stdin: PasswordSource;
  readonly out: { write(text: string): unknown };
  readonly err: { write(text: string): unknown };
}

type Line = { readonly kind: "line"; readonly text: string } | { readonly kind: "interrupted" };

/** Prints `USER:$2y$…` on `out`. Prompts and the one line about a mistake go to `err`. Returns the exit code. */
export async function passwdCommand(user: string, cost: number, io: PasswdIo): Promise<number> {
  const refused = userProblem(user) ?? costProblem(cost);
  if (refused !== null) return fail(io, refused);
  const lines = io.stdin.isTTY ? await askTwice(user, io) : [await readPiped(io.stdin)];
  const [first, second = first] = lines;
  if (first?.kind !== "line" || second?.kind !== "line") return 130;
  const problem = passwordProblem(first.text);
  if (problem !== null) return fail(io, problem);
  if (second.text !== first.text) return fail(io, "the two passwords differ; start again");
  const made = await hash(first.text, cost);
  // The htpasswd program writes $2y$, and Apache and nginx read it. It is the same algorithm as $2b$.
  io.out.write(`${user}:${made.replace(/^\$2b\$/, "$2y$")}\n`);
  return 0;
}

function fail(io: PasswdIo, message: string): number {
  io.err.write(`sparekey passwd: ${message}\n`);
  return 1;
}

function userProblem(user: string): string | null {
  if (user === "") return "the user name is empty";
  if (CONTROL.test(user)) return "the user name has control characters";
  if (user.includes(":"))
    return `the user name ${JSON.stringify(user)} has a colon; a basic login ends the name there`;
  if (/^[ \t#]|[ \t]$/.test(user))
    return `the user name ${JSON.stringify(user)} begins or ends as no htpasswd name can`;
  if (Buffer.byteLength(user) > MAX_NAME_BYTES) return `the user name is longer than ${MAX_NAME_BYTES} bytes`;
  return null;
}

function costProblem(cost: number): string | null {
  if (Number.isInteger(cost) && cost >= COSTS.min && cost <= COSTS.max) return null;
  return `the cost is ${cost}; it must be a whole number from ${COSTS.min} to ${COSTS.max}`;
}

function passwordProblem(password: string): string | null {
  if (password === "") return "the password is empty";
  if (password.includes("\uFFFD")) return "the password is not UTF-8";
  if (CONTROL.test(password)) return "the password has control characters, which a login cannot carry";
  const bytes = Buffer.byteLength(password);
  if (bytes <= MAX_PASSWORD_BYTES) return null;
  return `the password has ${bytes} bytes; bcrypt reads only ${MAX_PASSWORD_BYTES}, so choose a shorter one`;
}

async function askTwice(user: string, { stdin, err }: PasswdIo): Promise<readonly Line[]> {
  const keys = createKeys(stdin);
  stdin.setRawMode?.(true);
  try {
    err.write(`Password for ${user}: `);
    const first = await keys.line();
    err.write("\r\n");
    if (first.kind === "interrupted" || passwordProblem(first.text) !== null) return [first];
    err.write("Again: ");
    const second = await keys.line();
    err.write("\r\n");
    return [first, second];
  } finally {
    stdin.setRawMode?.(false);
    keys.stop();
  }
}

/** Reads lines from a terminal in raw mode, which neither echoes nor edits. Keys after a line belong to the next one. */
function createKeys(stdin: PasswordSource): { line(): Promise<Line>; stop(): void } {
  let pending: string[] = [];
  let typed: string[] = [];
  let ended = false;
  let settle: ((line: Line) => void) | null = null;

  function finish(line: Line): void {
    typed = [];
    settle?.(line);
    settle = null;
  }

  function press(key: string): void {
    if (key === "\r" || key === "\n" || key === "\x04") finish({ kind: "line", text: typed.join("") });
    else if (key === "\x03") finish({ kind: "interrupted" });
    else if (key === "\x7f" || key === "\b") typed.pop();
    else if (key === "\x15") typed = [];
    else if (typed.length < MAX_LINE_CHARS) typed.push(key);
  }

  function work(): void {
    while (settle !== null && pending.length > 0) press(pending.shift() ?? "");
    if (ended && settle !== null) finish({ kind: "line", text: typed.join("") });
  }

  const onData = (chunk: string): void => {
    pending = [...pending, ...chunk].slice(0, 2 * MAX_LINE_CHARS);
    work();
  };
  const onEnd = (): void => {
    ended = true;
    work();
  };
  const stop = listen(stdin, onData, onEnd);
  return {
    line: () =>
      new Promise((resolve) => {
        settle = resolve;
        work();
      }),
    stop,
  };
}

/** The first line of a pipe, without its line end. */
function readPiped(stdin: PasswordSource): Promise<Line> {
  return new Promise((resolve) => {
    let text = "";
    const finish = (): void => {
      stop();
      resolve({ kind: "line", text: text.split("\n", 1)[0]?.replace(/\r$/, "") ?? "" });
    };
    const onData = (chunk: string): void => {
      text += chunk;
      if (text.includes("\n") || text.length > MAX_LINE_CHARS) finish();
    };
    const stop = listen(stdin, onData, finish);
  });
}

function listen(stdin: PasswordSource, onData: (chunk: string) => void, onEnd: () => void): () => void {
  const ends = ["end", "close", "error"] as const;
  stdin.setEncoding("utf8");
  stdin.on("data", onData);
  for (const end of ends) stdin.on(end, onEnd);
  stdin.resume();
  return () => {
    stdin.off("data", onData);
    for (const end of ends) stdin.off(end, onEnd);
    stdin.pause();
  };
}
