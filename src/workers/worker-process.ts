/** One worker as its primary sees it: a process, what is asked of it, and its log lines. */
import { type ChildProcess, fork } from "node:child_process";
import { extname } from "node:path";
import { fileURLToPath } from "node:url";
import type { LoginResult } from "../core/types.ts";
import type { Event } from "../observe/event.ts";
import type { LoginRequest, ToPrimary, ToWorker, WorkerReply, WorkerRequest } from "./protocol.ts";

/** The program has the ending of this file: .ts from source, .js once compiled. */
const PROGRAM = fileURLToPath(new URL(`./worker${extname(import.meta.url)}`, import.meta.url));

/** `code` is null where a signal ended it, or where it never started. */
export interface WorkerEnd {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

interface WorkerProcessDeps {
  /** Takes one line of its log; neither waits nor throws. */
  writeLine(line: string): void;
  onEvent(event: Event): void;
  /** Never rejects. */
  onLogin(login: LoginRequest): Promise<LoginResult>;
  /** Once. */
  onEnd(end: WorkerEnd): void;
}

/** Owns the process until it has ended. It ends by itself when this process does. */
export class WorkerProcess {
  /** Resolves when it has ended and its last line was written. */
  readonly ended: Promise<void>;
  readonly #child: ChildProcess;
  readonly #deps: WorkerProcessDeps;
  readonly #waiting = new Map<number, (answer: WorkerReply | null) => void>();
  #questions = 0;
  #isOver = false;

  /** `slot`: its number, as log lines show it. */
  constructor(slot: number, deps: WorkerProcessDeps) {
    this.#deps = deps;
    this.#child = fork(PROGRAM, [String(slot)], {
      serialization: "advanced",
      stdio: ["ignore", "pipe", "inherit", "ipc"],
    });
    const gone = Promise.withResolvers<void>();
    this.ended = gone.promise;
    this.#child
      .on("message", (message) => this.#take(message as ToPrimary))
      .once("exit", (code, signal) => this.#end({ code, signal }))
      .once("close", () => gone.resolve())
      .on("error", () => {
        if (this.#child.pid !== undefined) return;
        this.#end({ code: null, signal: null });
        gone.resolve();
      });
    forwardLines(this.#child, deps.writeLine);
  }

  get pid(): number | null {
    return this.#child.pid ?? null;
  }

  /** null: it has ended, or did not answer within `milliseconds`. */
  ask(question: WorkerRequest, milliseconds: number): Promise<WorkerReply | null> {
    if (this.#isOver) return Promise.resolve(null);
    this.#questions += 1;
    const id = this.#questions;
    const { promise, resolve } = Promise.withResolvers<WorkerReply | null>();
    const timer = setTimeout(resolve, milliseconds, null);
    this.#waiting.set(id, resolve);
    this.say({ ...question, id });
    return promise.finally(() => {
      clearTimeout(timer);
      this.#waiting.delete(id);
    });
  }

  say(message: ToWorker): void {
    // A worker that cannot be told is ending, and its end is reported by itself.
    if (this.#child.connected) this.#child.send(message, () => {});
  }

  /** Ends a worker that hangs or is of no use. */
  kill(): void {
    this.#child.kill("SIGKILL");
  }

  #take(message: ToPrimary): void {
    switch (message.kind) {
      case "answer":
        return this.#waiting.get(message.id)?.(message.answer);
      case "event":
        return this.#deps.onEvent(message.event);
      case "login": {
        const { id } = message;
        void this.#deps.onLogin(message).then((result) => this.say({ kind: "login", id, result }));
      }
    }
  }

  #end(end: WorkerEnd): void {
    if (this.#isOver) return;
    this.#isOver = true;
    for (const settle of this.#waiting.values()) settle(null);
    this.#deps.onEnd(end);
  }
}

/** Forwards whole lines only. A line that a dying worker did not finish is dropped. */
function forwardLines({ stdout }: ChildProcess, writeLine: (line: string) => void): void {
  let rest = "";
  stdout?.setEncoding("utf8").on("data", (text: string) => {
    const lines = (rest + text).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) writeLine(line);
  });
  stdout?.on("error", () => {});
}
