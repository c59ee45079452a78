/**
 * Reads one answer as undici hands it over. It fails for the same reasons as on the fast path, and counts when
 * answer-assembly.ts says so.
 */
import type { Socket } from "node:net";
import type { Dispatcher } from "undici";
import { isFinalStatus } from "../../core/classify.ts";
import { firstHeader, headerValues } from "../../core/headers.ts";
import type { Upstream } from "../../core/snapshot.ts";
import type { Answer, AnswerFailure, Body, Outcome, RawHeaders } from "../../core/types.ts";
import { AnswerAssembly, isTooLarge } from "../answer-assembly.ts";
import type { Failed } from "../attempt.ts";
import { isStarved, pastDeadline, stalledSoFar } from "../deadline.ts";

/** What an answer is handed on to. */
export interface AnswerTaker {
  /** Milliseconds until the answer's first byte must have come. */
  firstByteMs(): number;
  /** Milliseconds to each byte after it. */
  readonly readMs: number;
  /** `isStream`: the body goes on; `over` follows. */
  answered(answer: Answer, isStream: boolean): void;
  failed(failed: Failed): void;
  over(): void;
}

interface AnswerHandlerDeps {
  readonly socket: Socket;
  readonly upstream: Upstream;
  /** One of its methods is called once, and `over` after a stream. */
  readonly taker: AnswerTaker;
  readonly sendsBody: boolean;
  readonly method: string;
  /** Whether undici refuses to write this request, of which it wrote nothing. */
  refusedByUs(): boolean;
  /** Whether a byte of the answer has come. */
  hasHeard(): boolean;
  /** The connection has carried a request before. */
  readonly isReused: boolean;
  /** An answer has begun. */
  heard(): void;
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
  }

  onRequestStart(controller: Controller): void {
    if (this.#phase === "over") return controller.abort(new Error("interrupted"));
    this.#started = true;
    if (this.#bodySent) this.#expectFirstByte();
  }

  /** Until all is sent, the gateway is waited for and not the upstream. */
  onRequestSent(): void {
    this.#bodySent = true;
    if (this.#phase !== "over") this.#expectFirstByte();
  }

  onResponseStart(controller: Controller, status: number, _headers: unknown, statusText?: string): void {
    this.#status = status;
    this.#statusText = printable(statusText ?? "");
    this.#headers = latin1(controller.rawHeaders);
    this.#deps.heard();
    if (this.#phase !== "over") this.#expectBytes();
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
    if (this.#phase === "over") return;
    const body = this.#body.end();
    this.#leave(this.#bodySent);
    if (body) this.#settleAnswer(body, false);
    else this.#deps.taker.over();
  }

  onResponseError(_controller: Controller | null, error: Error): void {
    if (this.#phase === "over") return;
    if (this.#deps.refusedByUs()) return this.#settleFailed({ kind: "unsendable" });
    const { isReused, hasHeard } = this.#deps;
    if (!this.#started || !hasHeard())
      return this.#settleFailed({ kind: "stale", sent: this.#started, isReused });
    this.#fail(reasonOf(error));
  }

  #stream(controller: Controller): void {
    if (!isFinalStatus(this.#status)) return this.#fail("malformed");
    const onWanted = (): void => {
      if (this.#phase === "over") return;
      this.#expectBytes();
      controller.resume();
    };
    const body = this.#body.stream(onWanted, () => this.#close());
    this.#phase = "streaming";
    this.#pause(controller);
    this.#settleAnswer(body, true);
  }

  /** A gateway that reads slowly is not an upstream that writes slowly: only the total deadline runs meanwhile. */
  #pause(controller: Controller): void {
    this.#deps.socket.setTimeout(0);
    controller.pause();
  }

  #expectFirstByte(): void {
    this.#stalledBefore = stalledSoFar();
    this.#deps.socket.setTimeout(Math.max(this.#deps.taker.firstByteMs(), 1));
  }

  #expectBytes(): void {
    this.#stalledBefore = stalledSoFar();
    this.#deps.socket.setTimeout(this.#deps.taker.readMs);
  }

  readonly #onSilence = (): void => {
    const { bytesRead } = this.#deps.socket;
    // As in deadline.ts, what came during a stall of ours is read first.
    setImmediate(() => {
      if (this.#deps.socket.bytesRead !== bytesRead) return;
      const { readMs } = this.#deps.taker;
      this.#settleFailed(pastDeadline("read_timeout", isStarved(readMs, this.#stalledBefore)));
    });
  };

  get hasHeard(): boolean {
    return this.#deps.hasHeard();
  }

  /** Whether the rest of a request's body is waited for, and not the upstream. */
  get waitsForGateway(): boolean {
    return !this.#bodySent && !this.#deps.socket.writableNeedDrain;
  }

  /** Nothing more is wanted. The taker is told nothing. */
  cut(): void {
    if (this.#phase !== "over") this.#leave(false);
  }

  /** The stream of the answer ends here. */
  breakOff(outcome: Outcome): void {
    this.#body.breakOff(outcome);
    this.#close();
  }

  #fail(reason: AnswerFailure): void {
    this.#settleFailed({ kind: "failure", reason });
  }

  /** Ends without an answer; a stream that has begun breaks off. */
  #settleFailed(failed: Failed): void {
    if (this.#phase === "over") return;
    if (this.#phase === "streaming") {
      if (failed.kind !== "stale") this.#body.breakOff(failed);
      return this.#close();
    }
    this.#leave(false);
    this.#deps.taker.failed(failed);
  }

  #settleAnswer(body: Body, isStream: boolean): void {
    const answer = { status: this.#status, statusText: this.#statusText, headers: this.#headers, body };
    this.#deps.taker.answered(answer, isStream);
  }

  #close(): void {
    if (this.#phase === "over") return;
    this.#leave(false);
    this.#deps.taker.over();
  }

  #leave(reusable: boolean): void {
    if (this.#phase === "over") return;
    this.#phase = "over";
    this.#deps.socket.setTimeout(0);
    this.#deps.socket.removeListener("timeout", this.#onSilence);
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
