/**
 * Reads one answer as undici hands it over, and decides when it counts: once it is complete, or once 64 KiB of
 * its body have come (DESIGN section 4). From then on the rest is streamed.
 */
import type { Socket } from "node:net";
import type { Dispatcher } from "undici";
import { isFinalStatus } from "../../core/classify.ts";
import { firstHeader, headerValues } from "../../core/headers.ts";
import type { Upstream } from "../../core/snapshot.ts";
import type { AnswerFailure, Body, Outcome, RawHeaders } from "../../core/types.ts";
import { type BodyStream, createBodyStream } from "../body-stream.ts";
import { isStarved, stalledSoFar } from "../deadline.ts";
import type { Interrupt } from "../interrupt.ts";

/** Bytes of a body that must have come, unless it ends before. */
export const COMPLETE_BYTES = 64 * 1024;

/**
 * `stale`: the connection died before the answer's first byte, and was a reused one or leads to one server of
 * several; that is no word on the upstream yet.
 * `sent`: whether any of the request may have gone out.
 */
export type Asked = Outcome | { readonly kind: "stale"; readonly sent: boolean };

export interface AnswerHandlerDeps {
  readonly socket: Socket;
  readonly upstream: Upstream;
  readonly interrupt: Interrupt;
  readonly sendsBody: boolean;
  readonly method: string;
  /** Whether undici refuses to write this request, before it wrote any of it. */
  refusedByUs(): boolean;
  /** Whether the connection, should it be dead, died as `stale` means it. */
  diedUnheard(): boolean;
  /** An answer has begun. */
  heard(): void;
  /** Called once. The interrupt is cleared at the end of the answer, but goes on after `stale`. */
  settle(asked: Asked): void;
  /** Called once, when nothing more is to come. `reusable`: the connection may carry another request. */
  end(reusable: boolean): void;
}

type Controller = Dispatcher.DispatchController;
type Phase =
  | { readonly kind: "waiting" }
  | { readonly kind: "streaming"; readonly stream: BodyStream }
  | { readonly kind: "over" };

/** Owns the connection from its request to the end of the answer. */
export class AnswerHandler implements Dispatcher.DispatchHandler {
  readonly #options: AnswerHandlerDeps;
  #phase: Phase = { kind: "waiting" };
  #started = false;
  #bodySent: boolean;
  #status = 0;
  #statusText = "";
  #headers: RawHeaders = [];
  #chunks: Buffer[] = [];
  #bytes = 0;
  #stalledBefore = 0;

  constructor(options: AnswerHandlerDeps) {
    this.#options = options;
    this.#bodySent = !options.sendsBody;
    options.socket.on("timeout", this.#onSilence);
    options.interrupt.signal.addEventListener("abort", this.#onInterrupt);
    if (options.interrupt.signal.aborted) this.#onInterrupt();
  }

  onRequestStart(controller: Controller): void {
    if (this.#phase.kind === "over") return controller.abort(new Error("interrupted"));
    this.#started = true;
    if (this.#bodySent) this.#expectBytes();
  }

  /** Until then it is the gateway that is waited for, not the upstream. */
  onRequestSent(): void {
    this.#bodySent = true;
    if (this.#phase.kind !== "over") this.#expectBytes();
  }

  onResponseStart(controller: Controller, status: number, _headers: unknown, statusText?: string): void {
    this.#status = status;
    this.#statusText = printable(statusText ?? "");
    this.#headers = latin1(controller.rawHeaders);
    this.#options.heard();
    // interim.ts lets these through only past its limit; undici would read them on until the total deadline.
    if (status >= 102 && status <= 199) return this.#fail("too_large");
    if (!isReadable(this.#headers)) this.#fail("malformed");
    const { upstream, method } = this.#options;
    // What these announce is the length of a body that does not follow (RFC 9110 section 8.6).
    if (method === "HEAD" || status === 304) return;
    if (upstream.answerBytes !== null && lengthOf(this.#headers) > upstream.answerBytes)
      this.#fail("too_large");
  }

  onResponseData(controller: Controller, chunk: Buffer): void {
    this.#bytes += chunk.length;
    if (this.#bytes > (this.#options.upstream.answerBytes ?? Number.POSITIVE_INFINITY))
      return this.#fail("too_large");
    if (this.#phase.kind === "streaming") {
      if (!this.#phase.stream.push(chunk)) this.#pause(controller);
      return;
    }
    this.#chunks.push(chunk);
    if (this.#bytes > COMPLETE_BYTES) this.#stream(controller);
  }

  onResponseEnd(): void {
    // undici takes a reset for the end of a body that ends by close.
    if (this.#options.socket.errored !== null) return this.#fail("reset");
    const phase = this.#phase;
    if (phase.kind === "waiting") {
      if (!isFinalStatus(this.#status)) return this.#fail("malformed");
      this.#settleAnswer({ kind: "whole", bytes: Buffer.concat(this.#chunks) });
    }
    if (phase.kind === "streaming") phase.stream.end();
    this.#finish(this.#bodySent);
  }

  onResponseError(_controller: Controller | null, error: Error): void {
    if (this.#phase.kind === "over") return;
    if (this.#options.refusedByUs()) return this.#settleOutcome({ kind: "unsendable" });
    if (!this.#started || this.#options.diedUnheard()) {
      this.#options.settle({ kind: "stale", sent: this.#started });
      return this.#leave(false);
    }
    this.#fail(reasonOf(error));
  }

  #stream(controller: Controller): void {
    if (!isFinalStatus(this.#status)) return this.#fail("malformed");
    const onWanted = (): void => {
      if (this.#phase.kind !== "streaming") return;
      this.#expectBytes();
      controller.resume();
    };
    const stream = createBodyStream(onWanted, () => this.#finish(false));
    this.#phase = { kind: "streaming", stream };
    this.#options.interrupt.keep();
    for (const chunk of this.#chunks) stream.push(chunk);
    this.#chunks = [];
    this.#pause(controller);
    this.#settleAnswer(stream.body);
  }

  /** A gateway that reads slowly is not an upstream that writes slowly: no deadline runs meanwhile but the total. */
  #pause(controller: Controller): void {
    this.#options.socket.setTimeout(0);
    controller.pause();
  }

  #expectBytes(): void {
    this.#stalledBefore = stalledSoFar();
    this.#options.socket.setTimeout(this.#options.upstream.timeouts.read);
  }

  readonly #onSilence = (): void => {
    const { bytesRead } = this.#options.socket;
    // As deadlines.ts has it: what came during a stall of ours is read first, and starving is no silence.
    setImmediate(() => {
      if (this.#options.socket.bytesRead !== bytesRead) return;
      if (isStarved(this.#options.upstream.timeouts.read, this.#stalledBefore)) return this.#giveUp();
      this.#fail("read_timeout");
    });
  };

  readonly #onInterrupt = (): void => {
    const { reason } = this.#options.interrupt;
    if (reason === "abandoned" || reason === "released") return this.#settleOutcome({ kind: reason });
    const waitsForGateway = !this.#bodySent && !this.#options.socket.writableNeedDrain;
    if (waitsForGateway) return this.#settleOutcome({ kind: "unsendable" });
    if (reason === "starved") return this.#giveUp();
    this.#fail("total_timeout");
  };

  #giveUp(): void {
    this.#settleOutcome({ kind: "overload" });
  }

  #fail(reason: AnswerFailure): void {
    this.#settleOutcome({ kind: "failure", reason });
  }

  /** Ends without an answer; a stream that has begun breaks off. */
  #settleOutcome(asked: Asked): void {
    const phase = this.#phase;
    if (phase.kind === "waiting") this.#options.settle(asked);
    if (phase.kind === "streaming") phase.stream.breakOff(asked.kind === "failure" ? asked.reason : null);
    this.#finish(false);
  }

  #settleAnswer(body: Body): void {
    const answer = { status: this.#status, statusText: this.#statusText, headers: this.#headers, body };
    this.#options.settle({ kind: "answer", answer });
  }

  #finish(reusable: boolean): void {
    if (this.#phase.kind === "over") return;
    this.#options.interrupt.clear();
    this.#leave(reusable);
  }

  #leave(reusable: boolean): void {
    this.#phase = { kind: "over" };
    this.#options.socket.setTimeout(0);
    this.#options.socket.removeListener("timeout", this.#onSilence);
    this.#options.interrupt.signal.removeEventListener("abort", this.#onInterrupt);
    this.#options.end(reusable);
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
  // undici's word for bytes that came unasked, or an upgrade nobody asked for.
  if (code === "UND_ERR_SOCKET" && error.message.startsWith("bad ")) return "malformed";
  // Names, because some of these come without a code; an assertion is how undici meets a status below 100.
  if (MALFORMED.has(error.name)) return "malformed";
  return "reset";
}

function latin1(headers: Controller["rawHeaders"]): RawHeaders {
  if (!Array.isArray(headers)) return [];
  return headers.map((text) => (typeof text === "string" ? text : text.toString("latin1")));
}

/** We undo chunks and no other transfer coding; passed on without its name, the bytes would be garbage. */
function isReadable(headers: RawHeaders): boolean {
  return headerValues(headers, "transfer-encoding").every(
    (coding) => coding.trim().toLowerCase() === "chunked",
  );
}

/** As the head announces it; 0 where it does not. */
function lengthOf(headers: RawHeaders): number {
  return Number(firstHeader(headers, "content-length") ?? 0);
}

/** A reason phrase may hold what Node refuses to write. */
function printable(statusText: string): string {
  return /^[\t\x20-\x7e]*$/.test(statusText) ? statusText : "";
}
