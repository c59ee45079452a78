/**
 * How many further attempts (retries and hedges) a route's checks may make. Without a bound an outage would multiply
 * the load on an upstream that is down already.
 *
 * - The budget is 20 % of the checks and 10 a second. What is left over is kept for 10 s, in slots of one second, and
 *   the oldest slot is spent first. At the start all slots are full, because an outage may begin at once.
 * - A client may spend a quarter of what the budget yields in 10 s while none of its further attempts has brought a
 *   verdict in that time. So a client whose checks always fail leaves most of the budget to the others.
 * - An attempt counts as having come to nothing until it brings a verdict, so parallel ones cannot exceed the quarter.
 */

const SLOTS = 10;
const SLOT_MS = 1_000;
const WINDOW_MS = SLOTS * SLOT_MS;
/** All amounts are in fifths of an attempt: whole numbers do not drift, however many are added up. A check earns one. */
const ATTEMPT = 5;
/** 10 attempts. */
const EACH_SECOND = 10 * ATTEMPT;
/** A client without success may spend one part in so many. */
const PARTS = 4;
const MOST_CLIENTS = 10_000;

/** `now`: milliseconds of one clock that never goes back. */
export interface AttemptBudget {
  /** A check begins. It is called for each check, so it must cost next to nothing. */
  check(now: number): void;
  /**
   * Takes one further attempt out of the budget. It returns false if the budget or the client's part of it is used up.
   * `client()` makes the client's limit key, and is called only when the key is needed.
   */
  take(client: () => string, now: number): boolean;
  /** A further attempt of this client brought a verdict. */
  worked(client: string, now: number): void;
}

interface Client {
  /** What it spent in each slot, as of `second`. */
  readonly spent: Float64Array;
  second: number;
  touchedAt: number;
  /** When a further attempt brought a verdict last; -Infinity: never. */
  workedAt: number;
}

export function createAttemptBudget(now: number): AttemptBudget {
  const start = now;
  /** Whole seconds since `start`. The slot of a second is its remainder by `SLOTS`. */
  let second = 0;
  let secondEnds = start + SLOT_MS;
  let newest = 0;
  const earned = new Float64Array(SLOTS).fill(EACH_SECOND);
  /** What was spent out of each slot, which may be later than its second. */
  const spent = new Float64Array(SLOTS);
  /** In the order in which they last spent or brought a verdict. */
  const clients = new Map<string, Client>();

  function turn(now: number): void {
    const before = second;
    second = Math.floor((now - start) / SLOT_MS);
    secondEnds = start + (second + 1) * SLOT_MS;
    newest = second % SLOTS;
    renew(earned, before, second, EACH_SECOND);
    renew(spent, before, second, 0);
  }

  /** Spends an attempt, out of the oldest slots that hold something. */
  function spend(): void {
    let due = ATTEMPT;
    for (let age = SLOTS - 1; age >= 0 && due > 0; age -= 1) {
      const slot = (newest + SLOTS - age) % SLOTS;
      const part = Math.min(due, at(earned, slot) - at(spent, slot));
      spent[slot] = at(spent, slot) + part;
      due -= part;
    }
  }

  /** The client's record, brought up to `now`. It becomes the last in order. */
  function touch(name: string, now: number): Client {
    const known = clients.get(name);
    const client = known ?? { spent: new Float64Array(SLOTS), second, touchedAt: now, workedAt: -Infinity };
    renew(client.spent, client.second, second, 0);
    client.second = second;
    client.touchedAt = now;
    if (known) clients.delete(name);
    clients.set(name, client);
    return client;
  }

  function forget(now: number): void {
    for (const [name, { touchedAt }] of clients) {
      if (clients.size <= MOST_CLIENTS && now < touchedAt + WINDOW_MS) return;
      clients.delete(name);
    }
  }

  /** Whether a client's part is used up. */
  function isLimited(name: string, now: number): boolean {
    const client = clients.get(name);
    if (!client || now < client.workedAt + WINDOW_MS) return false;
    renew(client.spent, client.second, second, 0);
    client.second = second;
    return (sum(client.spent) + ATTEMPT) * PARTS > sum(earned);
  }

  return {
    check: (now) => {
      if (now >= secondEnds) turn(now);
      earned[newest] = at(earned, newest) + 1;
    },
    take: (client, now) => {
      if (now >= secondEnds) turn(now);
      if (sum(earned) - sum(spent) < ATTEMPT) return false;
      const name = client();
      if (isLimited(name, now)) return false;
      spend();
      const record = touch(name, now);
      record.spent[newest] = at(record.spent, newest) + ATTEMPT;
      forget(now);
      return true;
    },
    worked: (client, now) => {
      if (now >= secondEnds) turn(now);
      touch(client, now).workedAt = now;
      forget(now);
    },
  };
}

/** Starts the slots of the seconds after `before`, up to `second`. A long pause costs no more than all slots. */
function renew(slots: Float64Array, before: number, second: number, value: number): void {
  for (let each = Math.max(before + 1, second - SLOTS + 1); each <= second; each += 1) {
    slots[each % SLOTS] = value;
  }
}

function sum(slots: Float64Array): number {
  let total = 0;
  for (let slot = 0; slot < SLOTS; slot += 1) total += at(slots, slot);
  return total;
}

function at(slots: Float64Array, slot: number): number {
  return slots[slot] ?? 0;
}
