/** A place in a list. Whoever added it keeps it, and gives it back to leave. */
export interface Place<Item extends object> {
  /** null once it is left. */
  item: Item | null;
  before: Place<Item> | null;
  after: Place<Item> | null;
}

/**
 * Items in the order they were added, and left in any order, each at a fixed cost: a Set has to hash and to clean up,
 * which every check would pay for.
 */
export class LinkedList<Item extends object> {
  #first: Place<Item> | null = null;
  #last: Place<Item> | null = null;
  /** Where `each` goes on. */
  #next: Place<Item> | null = null;

  get first(): Item | null {
    return this.#first === null ? null : this.#first.item;
  }

  add(item: Item): Place<Item> {
    const place: Place<Item> = { item, before: this.#last, after: null };
    if (this.#last === null) this.#first = place;
    else this.#last.after = place;
    this.#last = place;
    return place;
  }

  /** The first leaves. */
  shift(): Item | null {
    const first = this.#first;
    if (first === null) return null;
    const { item } = first;
    this.leave(first);
    return item;
  }

  /** A second time, it does nothing. */
  leave(place: Place<Item>): void {
    if (place.item === null) return;
    const { before, after } = place;
    if (this.#next === place) this.#next = after;
    if (before === null) this.#first = after;
    else before.after = after;
    if (after === null) this.#last = before;
    else after.before = before;
    // In the old heap, what is left must not keep others from the young collection.
    place.item = null;
    place.before = null;
    place.after = null;
  }

  /** Each may leave, and others with it. Not to be called by a visit. */
  each(visit: (item: Item, place: Place<Item>) => void): void {
    for (let place = this.#first; place !== null; place = this.#next) {
      this.#next = place.after;
      if (place.item !== null) visit(place.item, place);
    }
  }
}
