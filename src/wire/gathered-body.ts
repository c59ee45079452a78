/** What one reading brings of a body, in one piece for whoever takes it: it may be thousands of chunks. */
export class GatheredBody {
  #bytes: Buffer | null = null;
  #length = 0;

  /** Adds `start` to `end` of `bytes`, into which `length` bytes were read. */
  add(bytes: Buffer, start: number, end: number, length: number): void {
    this.#bytes ??= Buffer.allocUnsafe(length - start);
    this.#length += bytes.copy(this.#bytes, this.#length, start, end);
  }

  /** null: there is none. */
  take(): Buffer | null {
    const gathered = this.#bytes?.subarray(0, this.#length) ?? null;
    this.#bytes = null;
    this.#length = 0;
    return gathered;
  }
}
