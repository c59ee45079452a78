/** The listeners that gateways ask on, one for each distinct `listen`, kept as long as the config has it. */
import { isDeepStrictEqual } from "node:util";
import { addressText } from "../core/address-text.ts";
import type { Routing } from "../core/answer-check.ts";
import type { Address, Limits } from "../core/snapshot.ts";
import { type Drainable, drain } from "../http/drain.ts";
import type { Generation } from "../route/generations.ts";
import { type CheckServer, type CheckServerDeps, createCheckServer } from "./check-server.ts";

interface Listener {
  readonly server: CheckServer;
  /** The bound address, which has the port if 0 was asked for. */
  readonly address: Address;
  readonly limits: Limits;
  /** Connections closed because `limits.connections` was reached, since the last tick. */
  drops: number;
  current: Routing;
}

/** Listeners that are open but not used yet, by `addressText`. */
export type Opened = ReadonlyMap<string, Listener>;

export interface Listeners {
  /** Opens, in order, the missing listeners of `generation`: all, or none when it rejects with a `ListenError`. */
  open(generation: Generation): Promise<Opened>;
  /** Closes what was opened in vain. */
  discard(opened: Opened): Promise<void>;
  /** Serves by `generation` from now on. Listeners that it lacks are drained, within its `drain.timeout`. */
  use(generation: Generation, opened: Opened): ListenerChanges;
  addresses(): readonly Address[];
  connections(): number;
  /** All servers, also those that are being left. */
  servers(): readonly Drainable[];
  /** It is called about once a second. */
  tick(): void;
  close(): Promise<void>;
}

export interface ListenerChanges {
  readonly opened: readonly Address[];
  readonly closed: readonly Address[];
  /** Some listeners keep the limits that they were opened with, though the config has others now. */
  readonly keepsOldLimits: boolean;
}

/** An address that cannot be had; the message names it. */
export class ListenError extends Error {
  readonly address: Address;
  /** The error code of the system. */
  readonly code: string;

  /** `ours` are the addresses where this process listens already. */
  constructor(address: Address, code: string, ours: readonly Address[]) {
    super(`cannot listen on ${addressText(address)} (${code}); ${hintFor(code, address, ours)}`);
    this.address = address;
    this.code = code;
  }
}

interface ListenersDeps
  extends Pick<CheckServerDeps, "answering" | "usesFastPath" | "onDefect" | "onUnloadable"> {
  /** Other processes listen on the same ports. */
  readonly sharesPorts: boolean;
  /** `closed` connections beyond `limit` were closed since the last tick. */
  onDrops(limit: number, closed: number): void;
}

export function createListeners({ sharesPorts, onDrops, ...deps }: ListenersDeps): Listeners {
  let used = new Map<string, Listener>();
  const left = new Set<Listener>();

  const addresses = (): readonly Address[] => [...used.values()].map(({ address }) => address);

  const openOne = async (wanted: Address, limits: Limits, first: Routing): Promise<Listener> => {
    const server = createCheckServer({
      listen: wanted,
      sharesPort: sharesPorts,
      limits,
      ...deps,
      current: () => listener.current,
      onDrop: () => {
        listener.drops += 1;
      },
    });
    const address = { host: wanted.host, port: 0 };
    const listener: Listener = { server, address, limits, drops: 0, current: first };
    try {
      address.port = await naming(wanted, server.listen(), addresses());
    } catch (error) {
      await server.close();
      throw error;
    }
    return listener;
  };

  const discard = async (opened: Opened): Promise<void> => {
    await Promise.all([...opened.values()].map(({ server }) => server.close()));
  };

  /** Its gateways may need a while to notice. Until then they are answered by the config that had it. */
  const leave = async (listener: Listener, timeout: number): Promise<void> => {
    left.add(listener);
    listener.current.hold();
    await drain([listener.server], { delay: 0, timeout });
    await listener.server.close();
    left.delete(listener);
    listener.current.release();
  };

  const all = (): readonly Listener[] => [...used.values(), ...left];
  const servers = (): readonly CheckServer[] => all().map(({ server }) => server);

  return {
    open: async ({ listens, snapshot }) => {
      const opened = new Map<string, Listener>();
      try {
        for (const [key, { address, current }] of listens) {
          if (!used.has(key)) opened.set(key, await openOne(address, snapshot.limits, current));
        }
        return opened;
      } catch (error) {
        await discard(opened);
        throw error;
      }
    },
    discard,
    use: ({ listens, snapshot }, opened) => {
      const next = new Map<string, Listener>();
      for (const [key, { current }] of listens) {
        const listener = used.get(key) ?? opened.get(key);
        if (!listener) throw new Error(`listener ${key} was not opened`);
        listener.current = current;
        next.set(key, listener);
      }
      const gone = [...used].filter(([key]) => !next.has(key)).map(([, listener]) => listener);
      for (const listener of gone) void leave(listener, snapshot.drain.timeout);
      used = next;
      return {
        opened: [...opened.values()].map(({ address }) => address),
        closed: gone.map(({ address }) => address),
        keepsOldLimits: [...next.values()].some(({ limits }) => !isDeepStrictEqual(limits, snapshot.limits)),
      };
    },
    addresses,
    connections: () => servers().reduce((open, server) => open + server.connections(), 0),
    servers,
    tick: () => {
      for (const listener of all()) {
        if (listener.drops > 0) onDrops(listener.limits.connections, listener.drops);
        listener.drops = 0;
      }
    },
    close: async () => {
      await Promise.all(servers().map((server) => server.close()));
    },
  };
}

/** Makes a `ListenError` of what goes wrong when `listening` binds `address`. */
export async function naming<T>(
  address: Address,
  listening: Promise<T>,
  ours: readonly Address[],
): Promise<T> {
  try {
    return await listening;
  } catch (error) {
    const code = error instanceof Error && "code" in error ? String(error.code) : "unknown error";
    throw new ListenError(address, code, ours);
  }
}

function hintFor(code: string, { port }: Address, ours: readonly Address[]): string {
  if (code === "EADDRNOTAVAIL") return "this machine has no such address";
  if (code === "EACCES") return port < 1024 ? "ports below 1024 need a privilege" : "the system forbids it";
  if (code === "ENOTSUP") return "this system cannot share a port among workers; write workers: 1";
  const own = ours.find((one) => one.port === port);
  if (own === undefined) return "is another process there?";
  return `sparekey itself listens on ${addressText(own)}; restart it for this change`;
}
