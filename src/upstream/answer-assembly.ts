/**
 * Puts together the body of one answer, by the same rules on both paths. The answer counts once its body is complete,
 * or once 64 KiB of the body have come. From then on the rest is streamed.
 */
import type { Upstream } from "../core/snapshot.ts";
import type { Body, Outcome } from "../core/types.ts";
import { NO_BODY } from "../wire/wire-answer.ts";
import { type BodyStream, createBodyStream } from "./body-stream.ts";

/** The answer counts beyond so many bytes, even if more of its body is to come. */
const COMPLETE_BYTES = 64 * 1024;

/** Whether a body of so many bytes, read or announced, is more than the upstream may send. */
export function isTooLarge({ answerBytes }: Upstream, bytes: number): boolean {
  return answerBytes !== null && bytes > answerBytes;
}

export class AnswerAssembly {
  readonly #upstream: Upstream;
  #bytes = 0;
  /** What has come before there is a stream. Nearly always it is one piece, which needs no list. */
  #first: Buffer | null = null;
  #others: Buffer[] | null = null;
  #stream: BodyStream | null = null;

  constructor(upstream: Upstream) {
    this.#upstream = upstream;
  }

  /** Takes the next piece. "counts": `stream` must be called now. "full": the stream has enough until it wants more. */
  add(chunk: Buffer): "more" | "counts" | "full" | "too_large" {
    this.#bytes += chunk.length;
    if (isTooLarge(this.#upstream, this.#bytes)) return "too_large";
    if (this.#stream) return this.#stream.push(chunk) ? "more" : "full";
    if (this.#first === null) this.#first = chunk;
    else if (this.#others === null) this.#others = [chunk];
    else this.#others.push(chunk);
    return this.#bytes > COMPLETE_BYTES ? "counts" : "more";
  }

  /** `onClosed` is called when nothing more will be read, also after the end. */
  stream(onWanted: () => void, onClosed: () => void): Body {
    this.#stream = createBodyStream(onWanted, onClosed);
    if (this.#first) this.#stream.push(this.#first);
    for (const chunk of this.#others ?? []) this.#stream.push(chunk);
    this.#first = null;
    this.#others = null;
    return this.#stream.body;
  }

  /** The body is complete. Returns null when it went on as a stream. */
  end(): Body | null {
    if (this.#stream === null) return this.#whole();
    this.#stream.end();
    return null;
  }

  /** Ends without a whole body. Returns false when there is no stream that could break off. */
  breakOff(outcome: Outcome): boolean {
    this.#stream?.breakOff(outcome.kind === "failure" ? outcome.reason : null);
    return this.#stream !== null;
  }

  #whole(): Body {
    if (this.#first === null) return NO_BODY;
    const bytes = this.#others ? Buffer.concat([this.#first, ...this.#others]) : this.#first;
    return { kind: "whole", bytes };
  }
}
