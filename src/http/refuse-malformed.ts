/** A request that is not HTTP, or too large, or too slow, gets a status and the end of its connection. */
import type { Socket } from "node:net";

/** Time for the reply to be read. Closing at once could take it back (RFC 9112 section 9.6). */
const LINGER_MS = 1_000;

/** `answering`: another request of this connection still waits, and would take this reply for its own. */
export function refuseMalformed(error: Error, socket: Socket, answering: boolean): void {
  if (answering || !socket.writable) {
    socket.destroy();
    return;
  }
  const status = statusFor("code" in error ? String(error.code) : "");
  socket.end(
    `HTTP/1.1 ${status}\r\nCache-Control: no-store\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`,
  );
  // A client that keeps its own side open would use up one of the connections we allow.
  const timer = setTimeout(() => socket.destroy(), LINGER_MS).unref();
  socket.once("close", () => clearTimeout(timer));
}

function statusFor(code: string): string {
  if (code === "HPE_HEADER_OVERFLOW") return "431 Request Header Fields Too Large";
  if (code === "ERR_HTTP_REQUEST_TIMEOUT") return "408 Request Timeout";
  return "400 Bad Request";
}
