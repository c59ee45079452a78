/**
 * A queue in which nobody waits for another one's crowd: start-time fair queueing (P. Goyal et al., 1996). Each client
 * has a queue of its own, and these are served in turn.
 *
 * - A client has a tag, the one with the smallest is served next, and being served moves its tag by one. The virtual
 *   time is the largest tag that was served. A client that comes begins there, so it need not wait for a whole round of
 *   the others: where tags are equal, the client that came last is served.
 * - Every second turn is that of the client that came or was served longest ago. Otherwise a flood of ever new clients
 *   would leave none to those that wait.
 * - A client that leaves keeps its tag until the virtual time has reached it: coming back gains nothing.
 * - When there is no more room, the longest queue loses its newest.
 *
 * Requests of our own have no client. They are few, and go first.
 */
import { LinkedList, type Place } from "./linked-list.ts";

const MOST_WAITING = 1_024;
/** Clients that have left. The oldest are forgotten first. */
const MOST_REMEMBERED = 1_024;

/** Whose an item is. null: it is one of our own. */
export type FairKey = string | null;

interface Queue<Item extends object> {
  readonly key: FairKey;
  readonly items: LinkedList<FairPlace<Item>>;
  length: number;
  tag: number;
}

/** A place in the queue. It is kept where the item was added, and given back to leave the queue. */
export interface FairPlace<Item extends object> {
  readonly item: Item;
  readonly queue: Queue<Item>;
  /** null: it is left. */
  place: Place<FairPlace<Item>> | null;
}

export class FairQueue<Item extends object> {
  /** In the order in which they came or were served. None is empty. */
  readonly #queues = new Map<FairKey, Queue<Item>>();
  /** Tags of clients that have left. */
  readonly #left = new Map<FairKey, number>();
  #time = 0;
  #size = 0;
  #isOldestNext = false;

  get size(): number {
    return this.#size;
  }

  /** `lost`: the item that had to leave, which may be the new one. */
  add(item: Item, key: FairKey): { readonly place: FairPlace<Item>; readonly lost: Item | null } {
    const queue = this.#queues.get(key) ?? this.#newQueue(key);
    const place: FairPlace<Item> = { item, queue, place: null };
    place.place = queue.items.add(place);
    queue.length += 1;
    this.#size += 1;
    return { place, lost: this.#size > MOST_WAITING ? this.#lose() : null };
  }

  /** The place to serve next. A client that `isHeldBack` is passed over while others wait. null: nobody waits. */
  next(isHeldBack: (key: string) => boolean): FairPlace<Item> | null {
    const passedOver = new Set<Queue<Item>>();
    for (;;) {
      const queue = this.#earliest(passedOver);
      if (queue === null) return this.#earliest(NONE)?.items.first ?? null;
      if (this.#queues.size === 1 || queue.key === null || !isHeldBack(queue.key)) return queue.items.first;
      passedOver.add(queue);
    }
  }

  /** The place leaves, and its client has had a turn. */
  serve(place: FairPlace<Item>): void {
    const { queue } = place;
    this.#isOldestNext = !this.#isOldestNext;
    this.#time = Math.max(this.#time, queue.tag);
    queue.tag = this.#time + 1;
    this.#queues.delete(queue.key);
    this.#queues.set(queue.key, queue);
    this.leave(place);
    this.#forget();
  }

  /** Leaving a second time does nothing. */
  leave(place: FairPlace<Item>): void {
    const { queue } = place;
    if (place.place === null) return;
    queue.items.leave(place.place);
    place.place = null;
    queue.length -= 1;
    this.#size -= 1;
    if (queue.length > 0) return;
    this.#queues.delete(queue.key);
    if (queue.tag > this.#time) this.#left.set(queue.key, queue.tag);
    if (this.#size === 0) this.#left.clear();
  }

  /** A visit may make any items leave, but must not add any. */
  each(visit: (item: Item, place: FairPlace<Item>) => void): void {
    for (const { items } of [...this.#queues.values()]) items.each((place) => visit(place.item, place));
  }

  #newQueue(key: FairKey): Queue<Item> {
    const tag = Math.max(this.#time, this.#left.get(key) ?? 0);
    this.#left.delete(key);
    const queue: Queue<Item> = { key, items: new LinkedList(), length: 0, tag };
    this.#queues.set(key, queue);
    return queue;
  }

  #earliest(passedOver: ReadonlySet<Queue<Item>>): Queue<Item> | null {
    let earliest: Queue<Item> | null = null;
    for (const queue of this.#queues.values()) {
      if (queue.key === null) return queue;
      if (passedOver.has(queue)) continue;
      if (earliest === null || (!this.#isOldestNext && queue.tag <= earliest.tag)) earliest = queue;
    }
    return earliest;
  }

  #lose(): Item | null {
    let longest: Queue<Item> | null = null;
    for (const queue of this.#queues.values())
      if (longest === null || queue.length >= longest.length) longest = queue;
    const newest = longest?.items.last ?? null;
    if (newest === null) return null;
    this.leave(newest);
    return newest.item;
  }

  /** They were remembered in about the order of their tags. */
  #forget(): void {
    for (const [key, tag] of this.#left) {
      if (tag > this.#time && this.#left.size <= MOST_REMEMBERED) return;
      this.#left.delete(key);
    }
  }
}

const NONE: ReadonlySet<never> = new Set();
