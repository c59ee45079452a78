/** A check as bytes. What is passed on never becomes a string, and what a decision asks for does so when it asks. */
import type { Check, RawHeaders } from "../core/types.ts";
import { copyLess, copyOf, headersOf } from "./bytes.ts";
import type { RequestHead } from "./request-head.ts";

/** What the strict grammar has in front of the value of an Authorization. */
const AUTHORIZATION_BYTES = "authorization: ".length;
const LINE_END_BYTES = 2;
const NOTHING = Buffer.alloc(0);

/** `bytes` must not change before `leaveBytes`. */
export class WireCheck implements Check {
  readonly method: "GET" | "HEAD";
  readonly target: string;
  readonly path: string;
  readonly body = null;
  readonly hasCookie: boolean;
  #bytes: Buffer;
  #holders = 0;
  readonly #start: number;
  readonly #linesStart: number;
  readonly #linesEnd: number;
  readonly #dropped: readonly number[];
  /** The values: start, end, start, end … */
  readonly #authorizations: readonly number[];
  #headers: RawHeaders | null = null;
  #request: Buffer | null = null;

  constructor(bytes: Buffer, head: RequestHead) {
    const { start, targetStart, targetEnd, pathEnd, linesStart, linesEnd, dropped, authorizations } = head;
    this.method = head.isHead ? "HEAD" : "GET";
    this.target = targetOf(bytes, targetStart, targetEnd);
    this.path = pathEnd === targetEnd ? this.target : this.target.slice(0, pathEnd - targetStart);
    this.hasCookie = head.hasCookie;
    this.#bytes = bytes;
    this.#start = start;
    this.#linesStart = linesStart;
    this.#linesEnd = linesEnd;
    this.#dropped = dropped;
    this.#authorizations = authorizations;
  }

  hold(): void {
    this.#holders += 1;
  }

  release(): void {
    this.#holders -= 1;
  }

  /** Another check is about to be written to the same memory. If nothing holds this one, it keeps no byte. */
  leaveBytes(): void {
    this.#request = null;
    this.#bytes = this.#holders > 0 ? copyOf(this.#bytes, 0, this.#linesEnd + LINE_END_BYTES) : NOTHING;
  }

  get hasAuthorization(): boolean {
    return this.#authorizations.length > 0;
  }

  get headers(): RawHeaders {
    this.#headers ??= headersOf(this.#bytes, this.#linesStart, this.#linesEnd);
    return this.#headers;
  }

  /**
   * The request as the upstream gets it, the same for all attempts. `staysHere` says which values of Authorization must
   * not go along.
   */
  requestBytes(staysHere: (authorization: string) => boolean): Buffer {
    this.#request ??= this.#makeRequest(staysHere);
    return this.#request;
  }

  #makeRequest(staysHere: (authorization: string) => boolean): Buffer {
    const end = this.#linesEnd + LINE_END_BYTES;
    const dropped = this.hasAuthorization ? this.#withEmergency(staysHere) : this.#dropped;
    const isWhole = this.#start === 0 && end === this.#bytes.length;
    if (dropped.length === 0) return isWhole ? this.#bytes : this.#bytes.subarray(this.#start, end);
    const request = Buffer.allocUnsafe(end - this.#start);
    return request.subarray(0, copyLess(this.#bytes, this.#start, end, dropped, request, 0));
  }

  #withEmergency(staysHere: (authorization: string) => boolean): readonly number[] {
    const lines: [number, number][] = pairs(this.#dropped);
    for (const [start, end] of pairs(this.#authorizations)) {
      if (!staysHere(this.#bytes.toString("latin1", start, end))) continue;
      lines.push([start - AUTHORIZATION_BYTES, end + LINE_END_BYTES]);
    }
    return lines.sort(([a], [b]) => a - b).flat();
  }
}

let lastTarget = "";

/** A gateway asks for the same target nearly always, so its text, and what is keyed by it, is made once. */
function targetOf(bytes: Buffer, start: number, end: number): string {
  const isLast = lastTarget.length === end - start && isText(bytes, start, lastTarget);
  if (!isLast) lastTarget = bytes.toString("latin1", start, end);
  return lastTarget;
}

function isText(bytes: Buffer, start: number, text: string): boolean {
  for (let i = 0; i < text.length; i += 1) if (bytes[start + i] !== text.charCodeAt(i)) return false;
  return true;
}

function pairs(ranges: readonly number[]): [number, number][] {
  return Array.from({ length: ranges.length / 2 }, (_, index) => [
    ranges[2 * index] ?? 0,
    ranges[2 * index + 1] ?? 0,
  ]);
}
