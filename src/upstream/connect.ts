/**
 * Opens one connection to an upstream within the connect timeout, which covers names, TCP and TLS together. Its servers
 * are tried in their order, and the addresses of each in theirs. Those that failed lately come last. The reason of a
 * failure depends on its phase, because an error code alone does not tell it (a reset may be TCP or TLS).
 */
import { connect as connectTcp, isIP, type LookupFunction, type Socket } from "node:net";
import { addressText } from "../core/address-text.ts";
import { createConnectFailures } from "../core/connect-failures.ts";
import type { Address, Upstream } from "../core/snapshot.ts";
import type { ConnectFailure, Gone } from "../core/types.ts";
import { connectForBytes } from "../http/bytes-socket.ts";
import { pastDeadline, startDeadline } from "./deadline.ts";

/** The other end of a connection. */
export interface Peer {
  readonly server: Address;
  /** An address that the name of the server resolved to. */
  readonly address: string;
}

export type Connected =
  | { readonly kind: "connected"; readonly socket: Socket; readonly peer: Peer }
  | { readonly kind: "failure"; readonly reason: ConnectFailure }
  /** Our own limits: no file descriptor, port or memory is left. A flood of clients can cause it, so it is no fault. */
  | { readonly kind: "overload" }
  | { readonly kind: "interrupted" };

const OWN_LIMITS: ReadonlySet<string> = new Set(["EMFILE", "ENFILE", "EADDRNOTAVAIL", "ENOBUFS", "ENOMEM"]);

/** How a socket over plain TCP is read from. */
export type SocketMode = "stream" | "bytes";

/** `died` is the other end of a connection that died before, or null. It is tried last. */
export type Connector = (died: Peer | null, interrupt: Gone, reading?: SocketMode) => Promise<Connected>;

/** When the time for connecting is up. */
interface Time {
  /** Applies to all but the last of several. */
  readonly shared: number;
  readonly last: number;
}

type Attempt<Item> = (item: Item, time: Time) => Promise<Connected>;

/** Remembers what failed lately. `now` is in milliseconds and never goes back. */
export function createConnector(upstream: Upstream, lookup: LookupFunction, now: () => number): Connector {
  const failures = createConnectFailures();

  /** The share of the next of `count`. What it leaves goes to the later ones. */
  const shareOf = ({ shared, last }: Time, count: number): Time => {
    if (count === 1) return { shared, last };
    const end = now() + (shared - now()) / count;
    return { shared: end, last: end };
  };

  /**
   * Tries one after another until one connects. Each has an even share of the time left, so that none that hangs leaves
   * the later ones without. The reason is that of the first, which was believed to work.
   */
  const tryEach = async <Item>(
    items: readonly Item[],
    name: (item: Item) => string,
    time: Time,
    attempt: Attempt<Item>,
  ): Promise<Connected> => {
    let failure: Connected | null = null;
    for (const [index, item] of items.entries()) {
      const begun = failures.begin(name(item), now());
      const connected = await attempt(item, shareOf(time, items.length - index));
      if (connected.kind === "connected") begun.worked();
      else if (connected.kind === "failure") begun.failed(now());
      else begun.gaveUp();
      if (connected.kind !== "failure") return connected;
      failure ??= connected;
    }
    return failure ?? { kind: "failure", reason: "dns" };
  };

  /**
   * What failed lately comes late, and last of all comes what lost a connection just now: a server that shuts down may
   * still take connections and lose them too, while another is back from its restart but failed lately.
   */
  const inOrder = <Item>(
    items: readonly Item[],
    name: (item: Item) => string,
    died: string | null,
  ): Item[] => {
    const rank = (item: Item): number => {
      if (name(item) === died) return 2;
      return failures.failedLately(name(item), now()) ? 1 : 0;
    };
    return items
      .map((item) => ({ item, rank: rank(item) }))
      .sort((a, b) => a.rank - b.rank)
      .map(({ item }) => item);
  };

  return (died, interrupt, reading = "stream") => {
    const { connect, total } = upstream.timeouts;
    const begin = now();
    // The total deadline may come first. The later ones must have had their turn by then.
    const time = { shared: begin + Math.min(connect, total), last: begin + connect };
    const servers = inOrder(upstream.servers, addressText, died && addressText(died.server));
    return tryEach(servers, addressText, time, async (server, serverTime) => {
      const resolved = await resolve(server.host, serverTime.last - now(), lookup, interrupt);
      if (resolved.kind !== "resolved") return resolved;
      const peers = resolved.addresses.map((address) => ({ server, address }));
      const ordered = inOrder(peers, peerText, died && peerText(died));
      return tryEach(ordered, peerText, serverTime, (peer, peerTime) =>
        connectTo(peer, upstream, reading, peerTime.last - now(), interrupt),
      );
    });
  };
}

function peerText({ server, address }: Peer): string {
  return `${address} of ${addressText(server)}`;
}

type Unresolved = Exclude<Connected, { readonly kind: "connected" }>;
type Resolved = { readonly kind: "resolved"; readonly addresses: readonly string[] } | Unresolved;

function resolve(
  host: string,
  milliseconds: number,
  lookup: LookupFunction,
  interrupt: Gone,
): Promise<Resolved> {
  if (isIP(host) !== 0) return Promise.resolve({ kind: "resolved", addresses: [host] });
  return settled(milliseconds, "dns", interrupt, (settle) => {
    lookup(host, { all: true }, (error, found) => {
      if (error) return settle(failureOf(error, "dns"));
      const list = Array.isArray(found) ? found : [];
      settle({ kind: "resolved", addresses: list.map(({ address }) => address) });
    });
  });
}

function connectTo(
  peer: Peer,
  upstream: Upstream,
  reading: SocketMode,
  milliseconds: number,
  interrupt: Gone,
): Promise<Connected> {
  const socket = open(upstream, peer, reading);
  // The next owner of the socket listens too, but an error in between must not end the process.
  socket.on("error", () => {});
  const connecting = settled<Connected>(milliseconds, "connect_timeout", interrupt, (settle) => {
    let reached = false;
    socket.once("error", (error) => settle(failureOf(error, reached ? "tls" : "tcp")));
    socket.once("connect", () => {
      reached = true;
    });
    socket.once(upstream.protocol === "https:" ? "secureConnect" : "connect", () => {
      settle({ kind: "connected", socket, peer });
    });
  });
  return connecting.then((connected) => {
    if (connected.kind !== "connected") socket.destroy();
    return connected;
  });
}

/** Settles with what `begin` says, unless the deadline or an interrupt comes first. */
function settled<Result>(
  milliseconds: number,
  late: ConnectFailure,
  interrupt: Gone,
  begin: (settle: (result: Result | Unresolved) => void) => void,
): Promise<Result | Unresolved> {
  return new Promise((resolvePromise) => {
    if (interrupt.aborted) return resolvePromise({ kind: "interrupted" });
    const settle = (result: Result | Unresolved): void => {
      deadline.clear();
      interrupt.removeEventListener("abort", onInterrupt);
      resolvePromise(result);
    };
    const onInterrupt = (): void => settle({ kind: "interrupted" });
    const deadline = startDeadline(milliseconds, (starved) => settle(pastDeadline(late, starved)));
    interrupt.addEventListener("abort", onInterrupt);
    begin(settle);
  });
}

function open({ protocol, tls }: Upstream, { server, address }: Peer, reading: SocketMode): Socket {
  const tcp = {
    host: address,
    port: server.port,
    noDelay: true,
    keepAlive: true,
    keepAliveInitialDelay: 30_000,
  };
  if (protocol === "http:") return reading === "bytes" ? connectForBytes(tcp) : connectTcp(tcp);
  // An import would load its list of root certificates, and most upstreams need no TLS.
  const { checkServerIdentity, connect: connectTls } = process.getBuiltinModule("node:tls");
  const serverName = tls.serverName ?? server.host;
  return connectTls({
    ...tcp,
    ...(tls.ca && { ca: Buffer.from(tls.ca) }),
    ...(tls.cert && { cert: Buffer.from(tls.cert) }),
    ...(tls.key && { key: Buffer.from(tls.key) }),
    // SNI names hosts only (RFC 6066 section 3). The certificate is checked against the address all the same.
    ...(isIP(serverName) === 0 && { servername: serverName }),
    checkServerIdentity: (_name, certificate) => checkServerIdentity(serverName, certificate),
    rejectUnauthorized: tls.verify,
    ALPNProtocols: ["http/1.1"],
  });
}

function failureOf(error: Error, phase: "dns" | "tcp" | "tls"): Unresolved {
  const code = "code" in error ? String(error.code) : "";
  if (OWN_LIMITS.has(code)) return { kind: "overload" };
  if (phase !== "tcp") return { kind: "failure", reason: phase };
  if (code === "ECONNREFUSED") return { kind: "failure", reason: "refused" };
  if (code === "ETIMEDOUT") return { kind: "failure", reason: "connect_timeout" };
  return { kind: "failure", reason: "unreachable" };
}
