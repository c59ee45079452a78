/** What a request gets that is not HTTP, or too large, or too slow: a status, and the end of its connection. */
import type { Socket } from "node:net";

/** For the reply to be read: to close at once could take it back (RFC 9112 section 9.6). */
const LINGER_MS = 1_000;

/**
 * `answering`: a request of this connection still waits for its reply, for which a reply to the garbled one
 * would be taken.
 */
export function refuseMalformed(error: Error, socket: Socket, answering: boolean): void {
  if (answering || !socket.writable) {
    socket.destroy();
    return;
  }
  const status = statusFor("code" in error ? String(error.code) : "");
  socket.end(
    `HTTP/1.1 ${status}\r\nCache-Control: no-store\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`,
  );
  // Who keeps its own side open would keep a place among the connections.
  const timer = setTimeout(() => socket.destroy(), LINGER_MS).unref();
  socket.once("close", () => clearTimeout(timer));
}

function statusFor(code: string): string {
  if (code === "HPE_HEADER_OVERFLOW") return "431 Request Header Fields Too Large";
  if (code === "ERR_HTTP_REQUEST_TIMEOUT") return "408 Request Timeout";
  return "400 Bad Request";
}
