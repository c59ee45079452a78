/**
 * Memory that one connection writes to again and again, so that what a check needs does not become garbage after it.
 * Buffers are costly garbage: they lie outside the young heap, and only a full collection finds them.
 */

const NOTHING = Buffer.alloc(0);
/** So much is kept from check to check. Whatever needs more gets memory of its own. */
const MOST_BYTES = 16_384;

export class ScratchBuffer {
  #all: Buffer = NOTHING;
  /** The part that was taken last, as the next check often has the same length. */
  #taken: Buffer = NOTHING;

  /** Returns `length` bytes with any content. It is the same memory as last time if that is large enough. */
  take(length: number): Buffer {
    if (length === this.#taken.length) return this.#taken;
    if (length > MOST_BYTES) return Buffer.allocUnsafe(length);
    // The next one may be a little longer.
    if (length > this.#all.length) this.#all = Buffer.allocUnsafe(length + (length >> 2));
    this.#taken = this.#all.subarray(0, length);
    return this.#taken;
  }
}
