/**
 * Reads one answer as undici hands it over. It fails for the same reasons as on the fast path, and counts when
 * answer-assembly.ts says so.
 */
import type { Socket } from "node:net";
import type { Dispatcher } from "undici";
import { isFinalStatus } from "../../core/classify.ts";
import { firstHeader, headerValues } from "../../core/headers.ts";
import type { Upstream } from "../../core/snapshot.ts";
import type { AnswerFailure, Body, Outcome, RawHeaders } from "../../core/types.ts";
import { AnswerAssembly, isTooLarge } from "../answer-assembly.ts";
import { isStarved, pastDeadline, stalledSoFar } from "../deadline.ts";
import { type Interrupt, interrupted, type Wait } from "../interrupt.ts";

/** "stale": the connection died as `isStale` means it. `sent`: some of the request may have gone out. */
export type Asked = Outcome | { readonly kind: "stale"; readonly sent: boolean };

interface AnswerHandlerDeps {
  readonly socket: Socket;
  readonly upstream: Upstream;
  readonly interrupt: Interrupt;
  /** How the exchange waited for the connection. */
  readonly wait: Wait;
  readonly sendsBody: boolean;
  readonly method: string;
  /** Whether undici refuses to write this request, of which it wrote nothing. */
  refusedByUs(): boolean;
  /** Whether the connection, should it be dead, died before it said anything about its upstream. */
  isStale(): boolean;
  /** An answer has begun. */
  heard(): void;
  /** It is called once. The interrupt ends with the answer, but goes on after "stale". */
  settle(asked: Asked): void;
  /** It is called once, when nothing more is to come. `reusable`: the connection may carry another request. */
  end(reusable: boolean): void;
}

type Controller = Dispatcher.DispatchController;
type Phase = "waiting" | "streaming" | "over";

/** Owns the connection from its request to the end of the answer. */
export class AnswerHandler implements Dispatcher.DispatchHandler {
  readonly #deps: AnswerHandlerDeps;
  #phase: Phase = "waiting";
  #started = false;
  #bodySent: boolean;
  #status = 0;
  #statusText = "";
  #headers: RawHeaders = [];
  readonly #body: AnswerAssembly;
  #stalledBefore = 0;

  constructor(deps: AnswerHandlerDeps) {
    this.#deps = deps;
    this.#bodySent = !deps.sendsBody;
    this.#body = new AnswerAssembly(deps.upstream);
    deps.socket.on("timeout", this.#onSilence);
    deps.interrupt.signal.addEventListener("abort", this.#onInterrupt);
    if (deps.interrupt.signal.aborted) this.#onInterrupt();
  }

  onRequestStart(controller: Controller): void {
    if (this.#phase === "over") return controller.abort(new Error("interrupted"));
    this.#started = true;
    if (this.#bodySent) this.#expectBytes();
  }

  /** Until all is sent, the gateway is waited for and not the upstream. */
  onRequestSent(): void {
    this.#bodySent = true;
    if (this.#phase !== "over") this.#expectBytes();
  }

  onResponseStart(controller: Controller, status: number, _headers: unknown, statusText?: string): void {
    this.#status = status;
    this.#statusText = printable(statusText ?? "");
    this.#headers = latin1(controller.rawHeaders);
    this.#deps.heard();
    // interim.ts lets these through only past its limit. undici would read them until the total deadline.
    if (status >= 102 && status <= 199) return this.#fail("too_large");
    if (!isReadable(this.#headers)) this.#fail("malformed");
    const { upstream, method } = this.#deps;
    // The length that these announce is that of a body that does not follow (RFC 9110 section 8.6).
    if (method === "HEAD" || status === 304) return;
    if (isTooLarge(upstream, lengthOf(this.#headers))) this.#fail("too_large");
  }

  onResponseData(controller: Controller, chunk: Buffer): void {
    switch (this.#body.add(chunk)) {
      case "more":
        return;
      case "counts":
        return this.#stream(controller);
      case "full":
        return this.#pause(controller);
      case "too_large":
        return this.#fail("too_large");
    }
  }

  onResponseEnd(): void {
    // undici takes a reset for the end of a body that ends with the connection.
    if (this.#deps.socket.errored !== null) return this.#fail("reset");
    if (this.#phase === "waiting" && !isFinalStatus(this.#status)) return this.#fail("malformed");
    const body = this.#phase === "over" ? null : this.#body.end();
    if (body) this.#settleAnswer(body);
    this.#finish(this.#bodySent);
  }

  onResponseError(_controller: Controller | null, error: Error): void {
    if (this.#phase === "over") return;
    if (this.#deps.refusedByUs()) return this.#settleOutcome({ kind: "unsendable" });
    if (!this.#started || this.#deps.isStale()) {
      this.#deps.settle({ kind: "stale", sent: this.#started });
      return this.#leave(false);
    }
    this.#fail(reasonOf(error));
  }

  #stream(controller: Controller): void {
    if (!isFinalStatus(this.#status)) return this.#fail("malformed");
    const onWanted = (): void => {
      if (this.#phase === "over") return;
      this.#expectBytes();
      controller.resume();
    };
    const body = this.#body.stream(onWanted, () => this.#finish(false));
    this.#phase = "streaming";
    this.#deps.interrupt.keep();
    this.#pause(controller);
    this.#settleAnswer(body);
  }

  /** A gateway that reads slowly is not an upstream that writes slowly: only the total deadline runs meanwhile. */
  #pause(controller: Controller): void {
    this.#deps.socket.setTimeout(0);
    controller.pause();
  }

  #expectBytes(): void {
    this.#stalledBefore = stalledSoFar();
    this.#deps.socket.setTimeout(this.#deps.upstream.timeouts.read);
  }

  readonly #onSilence = (): void => {
    const { bytesRead } = this.#deps.socket;
    // As in deadline.ts, what came during a stall of ours is read first.
    setImmediate(() => {
      if (this.#deps.socket.bytesRead !== bytesRead) return;
      const { read } = this.#deps.upstream.timeouts;
      this.#settleOutcome(pastDeadline("read_timeout", isStarved(read, this.#stalledBefore)));
    });
  };

  readonly #onInterrupt = (): void => {
    const { socket, wait } = this.#deps;
    const { reason } = this.#deps.interrupt;
    if (reason === null) return;
    const isLate = reason === "total_timeout" || reason === "starved";
    const waitsForGateway = !this.#bodySent && !socket.writableNeedDrain;
    this.#settleOutcome(isLate && waitsForGateway ? { kind: "unsendable" } : interrupted(reason, wait));
  };

  #fail(reason: AnswerFailure): void {
    this.#settleOutcome({ kind: "failure", reason });
  }

  /** Ends without an answer; a stream that has begun breaks off. */
  #settleOutcome(outcome: Outcome): void {
    if (this.#phase === "over") return;
    if (!this.#body.breakOff(outcome)) this.#deps.settle(outcome);
    this.#finish(false);
  }

  #settleAnswer(body: Body): void {
    const answer = { status: this.#status, statusText: this.#statusText, headers: this.#headers, body };
    this.#deps.settle({ kind: "answer", answer });
  }

  #finish(reusable: boolean): void {
    if (this.#phase === "over") return;
    this.#deps.interrupt.clear();
    this.#leave(reusable);
  }

  #leave(reusable: boolean): void {
    this.#phase = "over";
    this.#deps.socket.setTimeout(0);
    this.#deps.socket.removeListener("timeout", this.#onSilence);
    this.#deps.interrupt.signal.removeEventListener("abort", this.#onInterrupt);
    this.#deps.end(reusable);
  }
}

const MALFORMED: ReadonlySet<string> = new Set([
  "HTTPParserError",
  "AssertionError",
  "ResponseContentLengthMismatchError",
]);

function reasonOf(error: Error): AnswerFailure {
  const code = "code" in error ? String(error.code) : "";
  if (code === "UND_ERR_HEADERS_OVERFLOW") return "too_large";
  if (code === "HPE_INVALID_EOF_STATE") return "reset";
  // undici says this of bytes or of an upgrade that it did not ask for.
  if (code === "UND_ERR_SOCKET" && error.message.startsWith("bad ")) return "malformed";
  // Some of these have no code, so their names tell. undici meets a status below 100 with an assertion.
  if (MALFORMED.has(error.name)) return "malformed";
  return "reset";
}

function latin1(headers: Controller["rawHeaders"]): RawHeaders {
  if (!Array.isArray(headers)) return [];
  return headers.map((text) => (typeof text === "string" ? text : text.toString("latin1")));
}

/** We undo chunks and no other transfer coding. Passed on without the name of its coding, a body would be garbage. */
function isReadable(headers: RawHeaders): boolean {
  return headerValues(headers, "transfer-encoding").every(
    (coding) => coding.trim().toLowerCase() === "chunked",
  );
}

/** The length that the head announces, or 0. */
function lengthOf(headers: RawHeaders): number {
  return Number(firstHeader(headers, "content-length") ?? 0);
}

/** A reason phrase with characters that Node refuses to write is left out. */
function printable(statusText: string): string {
  return /^[\t\x20-\x7e]*$/.test(statusText) ? statusText : "";
}
