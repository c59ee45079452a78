/**
 * Opens one connection to an upstream, within the connect timeout: name, TCP and TLS together.
 * What goes wrong is told by phase, because the codes alone do not (a reset may be TCP or TLS).
 */
import { connect as connectTcp, isIP, type LookupFunction, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import type { ConnectFailure, Upstream } from "../core/types.ts";
import { startDeadline } from "./deadlines.ts";

export type Connected =
  | { readonly kind: "connected"; readonly socket: Socket }
  | { readonly kind: "failure"; readonly reason: ConnectFailure }
  /** Our own limits: no file descriptor, port or memory left. A client flood can cause it, so it is no fault. */
  | { readonly kind: "overload" }
  | { readonly kind: "interrupted" };

type Phase = "dns" | "tcp" | "tls";

const OWN_LIMITS: ReadonlySet<string> = new Set(["EMFILE", "ENFILE", "EADDRNOTAVAIL", "ENOBUFS", "ENOMEM"]);

export function connect(
  upstream: Upstream,
  lookup: LookupFunction,
  interrupt: AbortSignal,
): Promise<Connected> {
  return new Promise((resolve) => {
    if (interrupt.aborted) return resolve({ kind: "interrupted" });
    let phase: Phase = isIP(upstream.host) === 0 ? "dns" : "tcp";
    const socket = open(upstream, lookup);

    const settle = (connected: Connected): void => {
      deadline.clear();
      interrupt.removeEventListener("abort", onInterrupt);
      socket.removeListener("error", onError);
      // Whoever owns the socket next listens too, but an error in between must not end the process.
      socket.on("error", ignore);
      if (connected.kind !== "connected") socket.destroy();
      resolve(connected);
    };
    const onInterrupt = (): void => settle({ kind: "interrupted" });
    const onError = (error: Error): void => settle(failureOf(error, phase));
    const onTimeout = (starved: boolean): void => {
      if (starved) return settle({ kind: "overload" });
      settle({ kind: "failure", reason: phase === "dns" ? "dns" : "connect_timeout" });
    };
    const deadline = startDeadline(upstream.timeouts.connect, onTimeout);

    interrupt.addEventListener("abort", onInterrupt);
    socket.on("error", onError);
    socket.once("lookup", (error: Error | null) => {
      if (!error) phase = "tcp";
    });
    socket.once("connect", () => {
      phase = "tls";
    });
    socket.once(upstream.protocol === "https:" ? "secureConnect" : "connect", () => {
      settle({ kind: "connected", socket });
    });
  });
}

function open(upstream: Upstream, lookup: LookupFunction): Socket {
  const { host, port, tls } = upstream;
  const tcp = { host, port, lookup, noDelay: true, keepAlive: true, keepAliveInitialDelay: 30_000 };
  if (upstream.protocol === "http:") return connectTcp(tcp);
  const serverName = tls.serverName ?? host;
  return connectTls({
    ...tcp,
    ...(tls.ca && { ca: Buffer.from(tls.ca) }),
    ...(tls.cert && { cert: Buffer.from(tls.cert) }),
    ...(tls.key && { key: Buffer.from(tls.key) }),
    // SNI names hosts only (RFC 6066 section 3); the certificate is checked against the address all the same.
    ...(isIP(serverName) === 0 && { servername: serverName }),
    rejectUnauthorized: tls.verify,
    ALPNProtocols: ["http/1.1"],
  });
}

function failureOf(error: Error, phase: Phase): Connected {
  const code = codeOf(error);
  if (OWN_LIMITS.has(code)) return { kind: "overload" };
  if (phase === "tls") return { kind: "failure", reason: "tls" };
  if (phase === "dns") return { kind: "failure", reason: "dns" };
  if (code === "ECONNREFUSED") return { kind: "failure", reason: "refused" };
  if (code === "ETIMEDOUT") return { kind: "failure", reason: "connect_timeout" };
  return { kind: "failure", reason: "unreachable" };
}

/** Several addresses tried in vain come as one AggregateError; the last one's code speaks for it. */
function codeOf(error: Error): string {
  const last = error instanceof AggregateError ? error.errors.at(-1) : error;
  return last instanceof Error && "code" in last ? String(last.code) : "";
}

const ignore = (): void => {};
