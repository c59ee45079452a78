/**
 * Opens one connection to an upstream, within the connect timeout: name, TCP and TLS together.
 * What goes wrong is told by phase, because the codes alone do not (a reset may be TCP or TLS).
 */
import { connect as connectTcp, isIP, type LookupFunction, type Socket } from "node:net";
import { performance } from "node:perf_hooks";
import { checkServerIdentity, connect as connectTls } from "node:tls";
import type { ConnectFailure, Upstream } from "../core/types.ts";
import { startDeadline } from "./deadlines.ts";

export type Connected =
  | { readonly kind: "connected"; readonly socket: Socket }
  | { readonly kind: "failure"; readonly reason: ConnectFailure }
  /** Our own limits: no file descriptor, port or memory left. A client flood can cause it, so it is no fault. */
  | { readonly kind: "overload" }
  | { readonly kind: "interrupted" };

const OWN_LIMITS: ReadonlySet<string> = new Set(["EMFILE", "ENFILE", "EADDRNOTAVAIL", "ENOBUFS", "ENOMEM"]);

/** Each address of the name is tried in turn, all within the connect timeout. */
export async function connect(
  upstream: Upstream,
  lookup: LookupFunction,
  interrupt: AbortSignal,
): Promise<Connected> {
  const end = performance.now() + upstream.timeouts.connect;
  const resolved = await resolve(upstream, lookup, interrupt);
  if (resolved.kind !== "resolved") return resolved;
  let last: Connected = { kind: "failure", reason: "dns" };
  for (const [index, address] of resolved.addresses.entries()) {
    const share = (end - performance.now()) / (resolved.addresses.length - index);
    last = await connectTo(address, upstream, share, interrupt);
    if (last.kind !== "failure") return last;
  }
  return last;
}

type Unresolved = Exclude<Connected, { readonly kind: "connected" }>;
type Resolved = { readonly kind: "resolved"; readonly addresses: readonly string[] } | Unresolved;

function resolve(upstream: Upstream, lookup: LookupFunction, interrupt: AbortSignal): Promise<Resolved> {
  const { host, timeouts } = upstream;
  if (isIP(host) !== 0) return Promise.resolve({ kind: "resolved", addresses: [host] });
  return settled(timeouts.connect, "dns", interrupt, (settle) => {
    lookup(host, { all: true }, (error, found) => {
      if (error) return settle(failureOf(error, "dns"));
      const list = Array.isArray(found) ? found : [];
      settle({ kind: "resolved", addresses: list.map(({ address }) => address) });
    });
  });
}

function connectTo(
  address: string,
  upstream: Upstream,
  milliseconds: number,
  interrupt: AbortSignal,
): Promise<Connected> {
  const socket = open(upstream, address);
  // Whoever owns the socket next listens too, but an error in between must not end the process.
  socket.on("error", () => {});
  const connecting = settled<Connected>(milliseconds, "connect_timeout", interrupt, (settle) => {
    let reached = false;
    socket.once("error", (error) => settle(failureOf(error, reached ? "tls" : "tcp")));
    socket.once("connect", () => {
      reached = true;
    });
    socket.once(upstream.protocol === "https:" ? "secureConnect" : "connect", () => {
      settle({ kind: "connected", socket });
    });
  });
  return connecting.then((connected) => {
    if (connected.kind !== "connected") socket.destroy();
    return connected;
  });
}

/** What `begin` settles with, unless the deadline or an interrupt comes first. */
function settled<Result>(
  milliseconds: number,
  late: ConnectFailure,
  interrupt: AbortSignal,
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
    const deadline = startDeadline(milliseconds, (starved) => {
      settle(starved ? { kind: "overload" } : { kind: "failure", reason: late });
    });
    interrupt.addEventListener("abort", onInterrupt);
    begin(settle);
  });
}

function open(upstream: Upstream, address: string): Socket {
  const { host, port, tls } = upstream;
  const tcp = { host: address, port, noDelay: true, keepAlive: true, keepAliveInitialDelay: 30_000 };
  if (upstream.protocol === "http:") return connectTcp(tcp);
  const serverName = tls.serverName ?? host;
  return connectTls({
    ...tcp,
    ...(tls.ca && { ca: Buffer.from(tls.ca) }),
    ...(tls.cert && { cert: Buffer.from(tls.cert) }),
    ...(tls.key && { key: Buffer.from(tls.key) }),
    // SNI names hosts only (RFC 6066 section 3); the certificate is checked against the address all the same.
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
