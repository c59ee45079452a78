/**
 * One timer for the deadlines of all exchanges, and one clock that it reads: a check sets three deadlines, and next
 * to none of them ever passes. Never early; late by two ticks at most, our own stalls aside.
 */
import { LinkedList, type Place } from "../../core/linked-list.ts";

/** Half of what deadlines may be late. */
const TICK_MS = 10;

export interface Timed {
  /** Whatever is due at `now` happens. */
  look(now: number): void;
}

/** Owns its timer, which runs as long as there is anything to look at. */
export class Deadlines {
  readonly #now: () => number;
  readonly #all = new LinkedList<Timed>();
  #timer: NodeJS.Timeout | null = null;
  #time = 0;

  /** `now`: milliseconds, monotonic. */
  constructor(now: () => number) {
    this.#now = now;
  }

  /** The end of the tick that is now, once anything is looked after. */
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
    // Sockets have their turn first, as upstream/deadline.ts has it.
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
