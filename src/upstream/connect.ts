/**
 * Opens one connection to an upstream within the connect timeout, which covers names, TCP and TLS together. After 250 ms
 * of silence a second socket is opened beside the first, and after as long a third: a retransmitted SYN stays with the
 * dead server that the first one was sent to (RFC 8305 section 5 races addresses likewise). The first that connects wins.
 * The reason of a failure depends on its phase, because an error code alone does not tell it (a reset may be TCP or TLS).
 */
import { connect as connectTcp, isIP, type Socket } from "node:net";
import type { Upstream } from "../core/snapshot.ts";
import type { ConnectFailure } from "../core/types.ts";
import { connectForBytes } from "../http/bytes-socket.ts";
import { pastDeadline, startDeadline } from "./deadline.ts";
import type { Endpoint } from "./endpoint.ts";
import { type Endpoints, isOwnLimit, type Unresolved } from "./endpoints.ts";

const STAGGER_MS = 250;

export type Connected =
  | { readonly kind: "connected"; readonly socket: Socket; readonly endpoint: Endpoint }
  | { readonly kind: "failure"; readonly reason: ConnectFailure }
  /** Our own limits: no file descriptor, port or memory is left. A flood of clients can cause it, so it is no fault. */
  | { readonly kind: "overload" };

/** How a socket over plain TCP is read from. */
export type SocketMode = "stream" | "bytes";

export interface DialDeps {
  readonly upstream: Upstream;
  readonly endpoints: Endpoints;
  /** The endpoint to try first; null: any. */
  readonly first: Endpoint | null;
  readonly hasCookie: boolean;
  readonly reading: SocketMode;
  /** It is called once, unless the dial is cancelled. */
  done(connected: Connected): void;
}

/** Owns its sockets and timers until it is done or cancelled. What fails is told to the endpoints. */
export class Dial {
  readonly #deps: DialDeps;
  readonly #sockets = new Map<Socket, Endpoint>();
  #left: readonly Endpoint[] = [];
  #failure: ConnectFailure | null = null;
  #hasNoPort = false;
  #stagger: NodeJS.Timeout | null = null;
  #hasBegun = false;
  #isOver = false;
  readonly #deadline;

  constructor(deps: DialDeps) {
    this.#deps = deps;
    const { connect } = deps.upstream.timeouts;
    this.#deadline = startDeadline(connect, (starved) => this.#late(starved));
    const unready = deps.endpoints.ready();
    if (unready === null) this.#begin();
    else void unready.then((unresolved) => this.#resolved(unresolved));
  }

  cancel(): void {
    if (!this.#isOver) this.#end();
  }

  #resolved(unresolved: Unresolved | null): void {
    if (this.#isOver) return;
    if (unresolved === null) this.#begin();
    else this.#finish(unresolved);
  }

  #begin(): void {
    const { endpoints, first, hasCookie } = this.#deps;
    this.#hasBegun = true;
    this.#left = endpoints.dialOrder(first, hasCookie);
    this.#openNext();
  }

  #openNext(): void {
    if (this.#stagger) clearTimeout(this.#stagger);
    const [endpoint, ...left] = this.#left;
    if (endpoint === undefined) {
      if (this.#sockets.size === 0) this.#finish(this.#allFailed());
      return;
    }
    this.#left = left;
    this.#open(endpoint);
    if (left.length > 0) this.#stagger = setTimeout(() => this.#openNext(), STAGGER_MS);
  }

  #open(endpoint: Endpoint): void {
    const { upstream, reading } = this.#deps;
    const socket = openSocket(upstream, endpoint, reading);
    this.#sockets.set(socket, endpoint);
    let reached = false;
    // The next owner of the socket listens too, but an error in between must not end the process.
    socket.on("error", (error) => this.#failed(socket, endpoint, failureOf(error, reached ? "tls" : "tcp")));
    socket.once("connect", () => {
      reached = true;
    });
    socket.once(upstream.protocol === "https:" ? "secureConnect" : "connect", () => {
      if (this.#isOver) return;
      this.#blameEarlier(socket, endpoint);
      this.#sockets.delete(socket);
      this.#finish({ kind: "connected", socket, endpoint });
    });
  }

  #failed(socket: Socket, endpoint: Endpoint, failure: SocketFailure): void {
    socket.destroy();
    if (this.#isOver) return;
    this.#sockets.delete(socket);
    if (failure === "overload") return this.#finish({ kind: "overload" });
    this.#deps.endpoints.failed(endpoint, failure === "no_port" ? "unreachable" : failure, "all");
    if (failure === "no_port") this.#hasNoPort = true;
    else this.#failure ??= failure;
    // Behind a lone address the next socket may reach another server. It sends nothing, so it costs no budget.
    const mayBeAnother = failure === "refused" && this.#deps.endpoints.all.length === 1;
    if (!mayBeAnother) this.#left = this.#left.filter((one) => one !== endpoint);
    this.#openNext();
  }

  #allFailed(): Connected {
    if (this.#failure === null && this.#hasNoPort) return { kind: "overload" };
    return { kind: "failure", reason: this.#failure ?? "dns" };
  }

  #late(starved: boolean): void {
    if (this.#isOver) return;
    if (!starved) this.#blameSilent(new Set(this.#sockets.values()));
    // A name server that is silent is as good as none.
    const late = this.#hasBegun ? "connect_timeout" : "dns";
    this.#finish(pastDeadline(this.#failure ?? late, starved));
  }

  /**
   * A socket that was opened before the one that won was silent for longer, which is as good as none. One opened after
   * it has had no time yet, and where both led to one endpoint, that is up.
   */
  #blameEarlier(winner: Socket, winning: Endpoint): void {
    const earlier = new Set<Endpoint>();
    for (const [socket, endpoint] of this.#sockets) {
      if (socket === winner) break;
      if (endpoint !== winning) earlier.add(endpoint);
    }
    this.#blameSilent(earlier);
  }

  #blameSilent(silent: ReadonlySet<Endpoint>): void {
    for (const endpoint of silent) this.#deps.endpoints.failed(endpoint, "connect_timeout", "all");
  }

  #finish(connected: Connected): void {
    this.#end();
    this.#deps.done(connected);
  }

  #end(): void {
    this.#isOver = true;
    this.#deadline.clear();
    if (this.#stagger) clearTimeout(this.#stagger);
    for (const socket of this.#sockets.keys()) socket.destroy();
  }
}

function openSocket({ protocol, tls }: Upstream, { server, address }: Endpoint, reading: SocketMode): Socket {
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

/**
 * "no_port": no local port is left for this address, or this host has no address of its family, as with ::1 where IPv6 is
 * switched off. Neither says anything of the upstream, but another address may be reached all the same.
 */
type SocketFailure = ConnectFailure | "overload" | "no_port";

function failureOf(error: Error, phase: "tcp" | "tls"): SocketFailure {
  const code = "code" in error ? String(error.code) : "";
  if (code === "EADDRNOTAVAIL") return "no_port";
  if (isOwnLimit(error)) return "overload";
  if (phase === "tls") return "tls";
  if (code === "ECONNREFUSED") return "refused";
  if (code === "ETIMEDOUT") return "connect_timeout";
  return "unreachable";
}
