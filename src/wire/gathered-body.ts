/** Gathers what one read brings of a body into one piece, as it may be thousands of chunks. */
export class GatheredBody {
  #bytes: Buffer | null = null;
  #length = 0;

  /** Adds the bytes from `start` to `end`. The read filled `length` bytes. */
  add(bytes: Buffer, start: number, end: number, length: number): void {
    this.#bytes ??= Buffer.allocUnsafe(length - start);
    this.#length += bytes.copy(this.#bytes, this.#length, start, end);
  }

  /** Returns null if there is nothing. */
  take(): Buffer | null {
    const gathered = this.#bytes?.subarray(0, this.#length) ?? null;
    this.#bytes = null;
    this.#length = 0;
    return gathered;
  }
}
