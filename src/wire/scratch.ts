/**
 * Memory that one connection writes to again and again: what a check needs for as long as it lasts is no garbage then.
 * Garbage of buffers is the dear kind: it lies outside the young heap, and only a whole collection finds it.
 */

const NOTHING = Buffer.alloc(0);
/** Kept from check to check; what needs more gets memory of its own. */
const MOST_BYTES = 16_384;

export class ScratchBuffer {
  #all: Buffer = NOTHING;
  /** Its begin, as it was taken last: the next check is often as long. */
  #taken: Buffer = NOTHING;

  /** `length` bytes, whatever is in them; the same as last time where there is room for them. */
  take(length: number): Buffer {
    if (length === this.#taken.length) return this.#taken;
    if (length > MOST_BYTES) return Buffer.allocUnsafe(length);
    // A little more: the next one may be a little longer.
    if (length > this.#all.length) this.#all = Buffer.allocUnsafe(length + (length >> 2));
    this.#taken = this.#all.subarray(0, length);
    return this.#taken;
  }
}
