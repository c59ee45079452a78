/**
 * One timer for the deadlines of all exchanges, and one clock that it reads: a check sets three deadlines, and next
 * to none of them ever passes. Never early; late by two ticks at most, our own stalls aside.
 */

/** Half of what deadlines may be late. */
const TICK_MS = 10;

/** What has deadlines. It is in the list of one `Deadlines` at a time, and nobody else changes its places. */
export interface Timed {
  before: Timed | null;
  after: Timed | null;
  /** Whatever is due at `now` happens. */
  look(now: number): void;
}

/** Owns its timer, which runs as long as there is anything to look at. */
export class Deadlines {
  readonly #now: () => number;
  #first: Timed | null = null;
  #timer: NodeJS.Timeout | null = null;
  #time = 0;
  #next: Timed | null = null;

  /** `now`: milliseconds, monotonic. */
  constructor(now: () => number) {
    this.#now = now;
  }

  /** The end of the tick that is now, once anything is looked after. */
  get time(): number {
    return this.#time;
  }

  add(timed: Timed): void {
    if (this.#timer === null) this.#start();
    const first = this.#first;
    timed.after = first;
    if (first) first.before = timed;
    this.#first = timed;
  }

  delete(timed: Timed): void {
    const { before, after } = timed;
    if (this.#next === timed) this.#next = after;
    if (before) before.after = after;
    else if (this.#first === timed) this.#first = after;
    if (after) after.before = before;
    timed.before = null;
    timed.after = null;
  }

  #start(): void {
    this.#time = this.#now() + TICK_MS;
    // Sockets have their turn first, as io/deadlines.ts has it.
    this.#timer = setInterval(() => {
      const now = this.#now();
      this.#time = now + TICK_MS;
      setImmediate(() => this.#look(now));
    }, TICK_MS);
  }

  #look(now: number): void {
    for (let timed = this.#first; timed !== null; timed = this.#next) {
      this.#next = timed.after;
      timed.look(now);
    }
    if (this.#first !== null || this.#timer === null) return;
    clearInterval(this.#timer);
    this.#timer = null;
  }
}
