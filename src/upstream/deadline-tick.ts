/**
 * One timer for the deadlines of all exchanges, and one clock that it sets: a check sets three deadlines, and next to
 * none of them ever passes. A deadline is never early, and at most two ticks late, apart from our own stalls.
 */
import { LinkedList, type Place } from "../core/linked-list.ts";

/** Half of how late deadlines may be. */
const TICK_MS = 10;

export interface Timed {
  /** Does what is due at `now`. */
  look(now: number): void;
}

/** Owns its timer, which runs as long as there is an exchange. */
export class Deadlines {
  readonly #now: () => number;
  readonly #all = new LinkedList<Timed>();
  #timer: NodeJS.Timeout | null = null;
  #time = 0;

  /** `now` is in milliseconds and never goes back. */
  constructor(now: () => number) {
    this.#now = now;
  }

  /** The end of the current tick, once there has been an exchange. */
  get time(): number {
    return this.#time;
  }

  add(timed: Timed): Place<Timed> {
    if (this.#timer === null) this.#start();
    return this.#all.add(timed);
  }

  leave(place: Place<Timed>): void {
    this.#all.leave(place);
  }

  #start(): void {
    this.#time = this.#now() + TICK_MS;
    // Sockets have their turn first, as in upstream/deadline.ts.
    this.#timer = setInterval(() => {
      const now = this.#now();
      this.#time = now + TICK_MS;
      setImmediate(() => this.#look(now));
    }, TICK_MS);
  }

  #look(now: number): void {
    this.#all.each((timed) => timed.look(now));
    if (this.#all.first !== null || this.#timer === null) return;
    clearInterval(this.#timer);
    this.#timer = null;
  }
}
