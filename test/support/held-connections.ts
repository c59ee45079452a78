/** A pool whose connections a test frees by hand. */
import type { Socket } from "node:net";
import type { Test } from "tap";
import type { EndpointChange } from "../../src/core/endpoint.ts";
import type { Address, Upstream } from "../../src/core/snapshot.ts";
import type { Endpoint } from "../../src/upstream/endpoint.ts";
import { Endpoints } from "../../src/upstream/endpoints.ts";
import { Pool } from "../../src/upstream/pool.ts";
import type {
  Asker,
  ConnectionEvents,
  ConnectionKind,
  ConnectionRecord,
  Pooled,
} from "../../src/upstream/pooled-connection.ts";
import type { Resolver } from "../../src/upstream/resolver.ts";
import { upstreamAt } from "./raw-upstream.ts";

export class Held implements Pooled {
  readonly record: ConnectionRecord;
  usable = true;
  hasTurn = false;
  hasOthers = false;
  isClosed = false;
  readonly #socket: Socket;
  readonly #events: ConnectionEvents;

  constructor(socket: Socket, record: ConnectionRecord, events: ConnectionEvents) {
    this.record = record;
    this.#socket = socket;
    this.#events = events;
  }

  free(): void {
    this.#events.free(this);
  }

  /** It has a turn to share. */
  share(): void {
    this.hasTurn = true;
    this.#events.share(this);
  }

  answer(): void {
    this.#events.answered();
  }

  close(): void {
    if (this.isClosed) return;
    this.isClosed = true;
    this.usable = false;
    this.#socket.destroy();
    this.#events.closed(this);
  }
}

/** Connections of the other path, which are of no use to this one. */
export class OtherHeld extends Held {}

/** A request of our own. */
export const ANYONE: Asker = { hasCookie: true, isProbe: false, client: null };

export const HELD: ConnectionKind<Held> = {
  reading: "stream",
  create: (socket, record, _upstream, events) => new Held(socket, record, events),
  isOne: (connection): connection is Held => connection.constructor === Held,
};

export const OTHER: ConnectionKind<OtherHeld> = {
  reading: "stream",
  create: (socket, record, _upstream, events) => new OtherHeld(socket, record, events),
  isOne: (connection): connection is OtherHeld => connection instanceof OtherHeld,
};

export interface PoolScene {
  readonly pool: Pool;
  readonly endpoints: Endpoints;
  /** The first that is known. */
  readonly endpoint: Endpoint;
  readonly changes: readonly EndpointChange[];
  /** The clock of pool and endpoints. */
  readonly clock: { now: number };
  /** Another pool of the same endpoints, as probes have it. */
  beside(changes: Partial<Upstream>): Pool;
  /** Opens a connection to an endpoint, by default to the first. */
  opened<Connection extends Pooled>(
    kind: ConnectionKind<Connection>,
    at?: Endpoint,
    from?: Pool,
  ): Promise<Connection>;
}

/** `resolve` is needed where a server has a name. */
export function poolScene(
  t: Test,
  servers: readonly [Address, ...Address[]],
  changes: Partial<Upstream> = {},
  resolve: Resolver = () => Promise.reject(new Error("no name is used here")),
): PoolScene {
  const clock = { now: 1_000_000 };
  const told: EndpointChange[] = [];
  const upstream = upstreamAt(0, { servers, ...changes });
  const deps = { now: () => clock.now, random: () => 0.5 };
  const endpoints = new Endpoints(servers, {
    ...deps,
    resolve,
    onChange: (change) => told.push(change),
  });
  const pool = new Pool({ ...deps, upstream, endpoints });
  const first = (): Endpoint => {
    const [endpoint] = endpoints.all;
    if (!endpoint) throw new Error("no endpoint is known");
    return endpoint;
  };
  const all: Pooled[] = [];
  t.teardown(() => {
    for (const connection of all) connection.close();
  });
  return {
    ...{ pool, endpoints, clock, changes: told },
    get endpoint() {
      return first();
    },
    beside: (changes) => new Pool({ ...deps, upstream: { ...upstream, ...changes }, endpoints }),
    opened: (kind, at = first(), from = pool) =>
      new Promise((resolve, reject) => {
        from.open(kind, at, ANYONE, (opened) => {
          if (opened.kind !== "opened") return reject(new Error(opened.kind));
          all.push(opened.connection);
          resolve(opened.connection);
        });
      }),
  };
}
