/**
 * The endpoints that may have fewer checks in flight than the upstream's `maxConnections`: core/concurrency-limit.ts says
 * how many. Nearly always there is none, and then no check pays for it.
 */
import { type ConcurrencyLimit, createConcurrencyLimit, createSlowStart } from "../core/concurrency-limit.ts";
import type { Endpoint } from "./endpoint.ts";

/** An endpoint that has answered within this time still answers. */
const ANSWERS_MS = 1_000;

interface EndpointLimitsDeps {
  readonly maxConnections: number;
  /** Milliseconds that never go back. */
  now(): number;
  /** How many checks are in flight at it. */
  inFlight(endpoint: Endpoint): number;
}

export class EndpointLimits {
  readonly #deps: EndpointLimitsDeps;
  readonly #limits = new Map<Endpoint, ConcurrencyLimit>();

  constructor(deps: EndpointLimitsDeps) {
    this.#deps = deps;
  }

  /** Whether there are any. */
  get areSet(): boolean {
    return this.#limits.size > 0;
  }

  hasRoom(endpoint: Endpoint): boolean {
    if (this.#limits.size === 0 || !this.#limits.has(endpoint)) return true;
    return this.#deps.inFlight(endpoint) < this.#of(endpoint);
  }

  /** How many checks all of them together may have in flight. */
  sum(endpoints: readonly Endpoint[]): number {
    const { maxConnections } = this.#deps;
    if (this.#limits.size === 0 || endpoints.length === 0) return maxConnections;
    const sum = endpoints.reduce((all, endpoint) => all + this.#of(endpoint), 0);
    return Math.min(sum, maxConnections);
  }

  /** No connection was opened in time, to whichever of `endpoints`. It says nothing of those that do not answer. */
  connectTimedOut(endpoints: readonly Endpoint[]): void {
    const { maxConnections } = this.#deps;
    const now = this.#deps.now();
    for (const endpoint of endpoints) {
      if (now - endpoint.answeredAt >= ANSWERS_MS) continue;
      const limit = this.#limits.get(endpoint) ?? createConcurrencyLimit(maxConnections);
      limit.connectTimedOut(now);
      if (limit.at(now) < maxConnections) this.#limits.set(endpoint, limit);
    }
  }

  /** The upstream works again after an outage. */
  recovered(endpoints: readonly Endpoint[]): void {
    const { maxConnections } = this.#deps;
    const now = this.#deps.now();
    this.#limits.clear();
    for (const endpoint of endpoints) {
      const limit = createSlowStart(maxConnections, now);
      if (limit.at(now) < maxConnections) this.#limits.set(endpoint, limit);
    }
  }

  answered(endpoint: Endpoint): void {
    if (this.#limits.size === 0) return;
    this.#limits.get(endpoint)?.answered();
    this.#forget();
  }

  #of(endpoint: Endpoint): number {
    return this.#limits.get(endpoint)?.at(this.#deps.now()) ?? this.#deps.maxConnections;
  }

  /** Those that limit nothing any more. */
  #forget(): void {
    for (const endpoint of this.#limits.keys())
      if (endpoint.hasLeft || this.#of(endpoint) >= this.#deps.maxConnections) this.#limits.delete(endpoint);
  }
}
