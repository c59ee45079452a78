/** A place in a list. It is kept where the item was added, and given back to leave the list. */
export interface Place<Item extends object> {
  /** It is null once the place is left. */
  item: Item | null;
  before: Place<Item> | null;
  after: Place<Item> | null;
}

/**
 * Items in the order in which they were added. They leave in any order, each at a fixed cost. A Set would have to hash
 * and to clean up, and every check would pay for that.
 */
export class LinkedList<Item extends object> {
  #first: Place<Item> | null = null;
  #last: Place<Item> | null = null;
  /** Where `each` goes on. */
  #next: Place<Item> | null = null;

  get first(): Item | null {
    return this.#first === null ? null : this.#first.item;
  }

  get last(): Item | null {
    return this.#last === null ? null : this.#last.item;
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

  /** Leaving a second time does nothing. */
  leave(place: Place<Item>): void {
    if (place.item === null) return;
    const { before, after } = place;
    if (this.#next === place) this.#next = after;
    if (before === null) this.#first = after;
    else before.after = after;
    if (after === null) this.#last = before;
    else after.before = before;
    // A place that lies in the old heap must not keep its neighbours from the young collection.
    place.item = null;
    place.before = null;
    place.after = null;
  }

  /** A visit may make any items leave, but must not call `each`. */
  each(visit: (item: Item, place: Place<Item>) => void): void {
    for (let place = this.#first; place !== null; place = this.#next) {
      this.#next = place.after;
      if (place.item !== null) visit(place.item, place);
    }
  }
}
