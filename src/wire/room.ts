/**
 * Memory that one connection writes to again and again: what a check needs for as long as it lasts is no garbage then.
 * Garbage of buffers is the dear kind: it lies outside the young heap, and only a whole collection finds it.
 */

const NOTHING = Buffer.alloc(0);
/** Kept from check to check; what needs more gets memory of its own. */
const MOST_BYTES = 16_384;

export class Room {
  #bytes: Buffer = NOTHING;

  /** At least `length` bytes, whatever is in them; the same as last time where that was enough. */
  take(length: number): Buffer {
    if (length <= this.#bytes.length) return this.#bytes;
    if (length > MOST_BYTES) return Buffer.allocUnsafe(length);
    // A little more: the next one may be a little longer.
    this.#bytes = Buffer.allocUnsafe(length + (length >> 2));
    return this.#bytes;
  }
}
