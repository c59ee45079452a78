/**
 * The endpoints of one upstream: which there are, and which is asked next. A name with one address may hide many
 * servers, one with several addresses shows them, and a list names them; the rules are the same for all three.
 *
 *  which there are   Names are looked up every 5 s while the upstream is in use. A new address is used at once, one
 *                    that is gone is drained, and a lookup that fails or finds nothing changes nothing.
 *  first choice      of two endpoints, the one with fewer checks in flight (M. Mitzenmacher, 2001)
 *  next choice       an endpoint that the check has not tried, rather one in use
 *  ejected           core/ejection.ts says when. The last one in use is always asked.
 */
import { isIP } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { createSlowAnswers, type SlowAnswers } from "../core/busy.ts";
import {
  afterFailure,
  afterVerdict,
  type Ejection,
  IN_USE,
  isEjectionTrialDue,
  startEjectionTrial,
} from "../core/ejection.ts";
import type { EjectedFrom, EjectionReason, EndpointChange, EndpointStatus } from "../core/endpoint.ts";
import type { Address } from "../core/snapshot.ts";
import type { ConnectFailure } from "../core/types.ts";
import { Endpoint } from "./endpoint.ts";
import type { Resolver } from "./resolver.ts";

const LOOKUP_MS = 5_000;
const JITTER = 0.2;
/** Addresses older than this may belong to another host by now, so the lookup is waited for, but only so long. */
const OLD_MS = 60_000;
const PATIENCE_MS = 500;
/** A trial that has said nothing for so long has failed. Its hedge came well before. */
const TRIAL_MS = 2_000;
/** For so long, a probe goes to the endpoint that failed. */
const DOUBT_MS = 10_000;
/** As many sockets as one connection may take, where there are not even more endpoints. */
const MIN_DIALS = 3;

export interface EndpointsDeps {
  readonly resolve: Resolver;
  /** Milliseconds that never go back. */
  now(): number;
  /** 0 to 1. */
  random(): number;
  onChange(change: EndpointChange): void;
}

/** Why no endpoint is known. */
export type Unresolved =
  | { readonly kind: "failure"; readonly reason: ConnectFailure }
  /** No file descriptor or memory is left, which says nothing of the upstream. */
  | { readonly kind: "overload" };

const UNKNOWN: Unresolved = { kind: "failure", reason: "dns" };

/** Owns its timer until `close`. */
export class Endpoints {
  /** Of checks; they also tell of probes, which have connections of their own. */
  readonly slowAnswers: SlowAnswers = createSlowAnswers();
  readonly #deps: EndpointsDeps;
  readonly #named: readonly Address[];
  #all: readonly Endpoint[];
  #hasEjected = false;
  #isUsed = false;
  #timer: NodeJS.Timeout | null = null;
  readonly #lookups = new Map<Address, Promise<Unresolved | null>>();
  #lookedUpAt = Number.NEGATIVE_INFINITY;
  /** When the lookups that are on their way began. */
  #askedAt = Number.NEGATIVE_INFINITY;
  #isClosed = false;

  constructor(servers: readonly Address[], deps: EndpointsDeps) {
    this.#deps = deps;
    this.#named = servers.filter(({ host }) => isIP(host) === 0);
    this.#all = servers
      .filter(({ host }) => isIP(host) !== 0)
      .map((server) => new Endpoint(server, server.host));
  }

  get all(): readonly Endpoint[] {
    return this.#all;
  }

  get statuses(): readonly EndpointStatus[] {
    return this.#all.map(({ status }) => status);
  }

  /** Is called for each check, so that names are looked up while the upstream is in use and not for ever. */
  use(): void {
    this.#isUsed = true;
    if (this.#timer === null && this.#named.length > 0) this.#watch();
  }

  /** null: an endpoint is known. Otherwise it settles with the first one, or once there can be none. */
  ready(): Promise<Unresolved | null> | null {
    if (this.#named.length === 0) return null;
    if (this.#all.length === 0) return this.#lookUp();
    const now = this.#deps.now();
    if (now - this.#lookedUpAt <= OLD_MS) return null;
    // A name server that hangs is waited for once, and not for each connection.
    if (this.#lookups.size > 0 && now - this.#askedAt > PATIENCE_MS) return null;
    return Promise.race([this.#lookUp(), sleep(PATIENCE_MS, null)]);
  }

  /** For a check that no endpoint was asked for yet. null: none is known. `mayTry`: it may be a trial. */
  first(hasCookie: boolean, mayTry: boolean): Endpoint | null {
    const all = this.#all;
    if (all.length <= 1) return all[0] ?? null;
    if (!this.#hasEjected) return this.#fewerInFlight(all);
    const onTrial = mayTry ? this.#dueForTrial(hasCookie) : null;
    if (onTrial !== null) return onTrial;
    const inUse = all.filter((endpoint) => endpoint.isInUse(hasCookie));
    // One that checks with a cookie still ask can at least be reached.
    const reachable = inUse.length > 0 ? inUse : all.filter((endpoint) => endpoint.isInUse(true));
    return this.#fewerInFlight(reachable.length > 0 ? reachable : all);
  }

  /** For a further attempt of a check that has tried some. null: none is known. */
  next(hasCookie: boolean, tried: readonly Endpoint[]): Endpoint | null {
    const untried = this.#all.filter((endpoint) => !tried.includes(endpoint));
    const inUse = untried.filter((endpoint) => endpoint.isInUse(hasCookie));
    for (const choice of [inUse, untried, this.#all])
      if (choice.length > 0) return this.#fewerInFlight(choice);
    return null;
  }

  /** The endpoints that a connection may be opened to, in the order in which to try them. */
  dialOrder(first: Endpoint | null, hasCookie: boolean): readonly Endpoint[] {
    const rank = (endpoint: Endpoint): number => {
      if (endpoint === first) return 0;
      return endpoint.isInUse(hasCookie) ? 1 : 2;
    };
    const order = this.#all
      .map((endpoint) => ({ endpoint, rank: rank(endpoint), chance: this.#deps.random() }))
      .sort((a, b) => a.rank - b.rank || a.chance - b.chance)
      .map(({ endpoint }) => endpoint);
    const again = Math.ceil(MIN_DIALS / Math.max(order.length, 1));
    return Array.from({ length: again }, () => order).flat();
  }

  /** The endpoint that failed or was suspected last. null: none has been of late. */
  inQuestion(): Endpoint | null {
    const [latest] = this.#all.toSorted((a, b) => b.doubtedAt - a.doubtedAt);
    return latest && this.#deps.now() - latest.doubtedAt < DOUBT_MS ? latest : null;
  }

  /** It gave an answer that could be its fault or the client's doing. */
  suspected(endpoint: Endpoint): void {
    endpoint.doubtedAt = this.#deps.now();
  }

  /** It gave a verdict at its usual speed. */
  worked(endpoint: Endpoint, hasCookie: boolean): void {
    const { all, cookieless } = endpoint.ejections;
    if (all !== IN_USE) this.#set(endpoint, "all", afterVerdict(all));
    if (!hasCookie && cookieless !== IN_USE) this.#set(endpoint, "cookieless", afterVerdict(cookieless));
  }

  /**
   * It gave a slow verdict to an attempt that began at `since`. Those that were under way together may all have waited
   * for one pause, be it the endpoint's or this process's own, so they count once.
   */
  slow(endpoint: Endpoint, since: number): void {
    if (since < endpoint.slowAt) return;
    endpoint.slowAt = this.#deps.now();
    this.failed(endpoint, "slow", "all");
  }

  /** It gave no verdict, or a slow one. */
  failed(endpoint: Endpoint, reason: EjectionReason, from: EjectedFrom): void {
    const { now, random } = this.#deps;
    if (reason !== "slow") endpoint.doubtedAt = now();
    const others = this.#all.filter((other) => other !== endpoint);
    const state = afterFailure(
      endpoint.ejections[from],
      reason,
      {
        answeredAt: Math.max(...others.map(({ answeredAt }) => answeredAt)),
        inUse: others.some((other) => other.isInUse(from === "all")),
      },
      now(),
      random(),
    );
    this.#set(endpoint, from, state);
    // It was asked for a trial, and answered what it answers to checks without a cookie alone.
    const { all } = endpoint.ejections;
    if (from === "cookieless" && all.kind === "on_trial") this.#set(endpoint, "all", afterVerdict(all));
  }

  close(): void {
    this.#isClosed = true;
    if (this.#timer) clearTimeout(this.#timer);
  }

  #set(endpoint: Endpoint, from: EjectedFrom, state: Ejection): void {
    const before = endpoint.ejections[from];
    if (before === state) return;
    endpoint.ejections[from] = state;
    this.#hasEjected = this.#all.some((one) => !one.isInUse(false));
    // The last word on one that has left is that it left.
    const change = endpoint.hasLeft ? null : changeOf(endpoint, from, before, state, this.#deps.now());
    if (change) this.#deps.onChange(change);
  }

  #dueForTrial(hasCookie: boolean): Endpoint | null {
    const now = this.#deps.now();
    for (const endpoint of this.#all) {
      for (const from of hasCookie ? FOR_COOKIES : FOR_COOKIELESS) {
        const state = endpoint.ejections[from];
        if (!isEjectionTrialDue(state, now)) continue;
        endpoint.ejections[from] = startEjectionTrial(state, now, TRIAL_MS);
        return endpoint;
      }
    }
    return null;
  }

  #fewerInFlight(endpoints: readonly Endpoint[]): Endpoint | null {
    const { length } = endpoints;
    const index = Math.floor(this.#deps.random() * length);
    const one = endpoints[index];
    if (one === undefined || length === 1) return one ?? null;
    const other = endpoints[(index + 1 + Math.floor(this.#deps.random() * (length - 1))) % length];
    return other !== undefined && other.inFlight < one.inFlight ? other : one;
  }

  #watch(): void {
    if (this.#isClosed) return;
    this.#isUsed = false;
    void this.#lookUp();
    const wait = LOOKUP_MS * (1 - JITTER + 2 * JITTER * this.#deps.random());
    this.#timer = setTimeout(() => {
      this.#timer = null;
      if (this.#isUsed) this.#watch();
    }, wait).unref();
  }

  /** Settles with the first name that has an address, and never rejects. */
  async #lookUp(): Promise<Unresolved | null> {
    if (this.#lookups.size === 0) this.#askedAt = this.#deps.now();
    const lookups = this.#named.map((server) => {
      const lookup = this.#lookups.get(server) ?? this.#lookUpOne(server);
      this.#lookups.set(server, lookup);
      return lookup;
    });
    const found = lookups.map((lookup) =>
      lookup.then((unresolved) => unresolved && Promise.reject(unresolved)),
    );
    const first = await Promise.any(found).catch(() => UNKNOWN);
    if (first === null || this.#all.length > 0) return null;
    const all = await Promise.all(lookups);
    return all.find((unresolved) => unresolved?.kind === "overload") ?? UNKNOWN;
  }

  async #lookUpOne(server: Address): Promise<Unresolved | null> {
    try {
      const addresses = await this.#deps.resolve(server.host);
      this.#lookedUpAt = this.#deps.now();
      // A check that came before the end still waits for the first addresses.
      if (!this.#isClosed || this.#all.length === 0) this.#replace(server, addresses);
      return null;
    } catch (error) {
      return isOwnLimit(error) ? { kind: "overload" } : UNKNOWN;
    } finally {
      this.#lookups.delete(server);
    }
  }

  /** Keeps what is known of the addresses that stay. */
  #replace(server: Address, addresses: readonly string[]): void {
    const [ofServer, ofOthers] = [
      this.#all.filter((endpoint) => endpoint.server === server),
      this.#all.filter((endpoint) => endpoint.server !== server),
    ];
    const kept = ofServer.filter(({ address }) => addresses.includes(address));
    const joined = [...new Set(addresses)]
      .filter((address) => !kept.some((endpoint) => endpoint.address === address))
      .map((address) => new Endpoint(server, address));
    const left = ofServer.filter((endpoint) => !kept.includes(endpoint));
    if (joined.length === 0 && left.length === 0) return;
    this.#all = [...ofOthers, ...kept, ...joined];
    this.#hasEjected = this.#all.some((one) => !one.isInUse(false));
    for (const endpoint of left) drain(endpoint);
    // The first addresses of a name are no news.
    if (ofServer.length === 0) return;
    for (const { text } of joined) this.#deps.onChange({ kind: "joined", endpoint: text });
    for (const { text } of left) this.#deps.onChange({ kind: "left", endpoint: text });
  }
}

const FOR_COOKIES = ["all"] as const;
const FOR_COOKIELESS = ["all", "cookieless"] as const;

/** Its idle connections end at once, the others with their answers. */
function drain(endpoint: Endpoint): void {
  endpoint.hasLeft = true;
  // Their pools take them out of the list, and out of what they count.
  for (const connection of [...endpoint.idle]) connection.close();
}

function changeOf(
  { text }: Endpoint,
  from: EjectedFrom,
  before: Ejection,
  after: Ejection,
  now: number,
): EndpointChange | null {
  if (before.kind === "in_use" && after.kind === "ejected")
    return { kind: "ejected", endpoint: text, from, reason: after.reason };
  if (before.kind !== "in_use" && after.kind === "in_use")
    return { kind: "restored", endpoint: text, from, seconds: Math.round((now - before.since) / 1_000) };
  return null;
}

const OWN_LIMITS: ReadonlySet<string> = new Set(["EMFILE", "ENFILE", "EADDRNOTAVAIL", "ENOBUFS", "ENOMEM"]);

/** Whether an error says that no file descriptor, port or memory is left. A flood of clients can cause it. */
export function isOwnLimit(error: unknown): boolean {
  return error instanceof Error && "code" in error && OWN_LIMITS.has(String(error.code));
}
