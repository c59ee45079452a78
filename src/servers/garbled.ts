/** What a request gets that is not HTTP, or too large, or too slow: a status, and the end of its connection. */
import type { Socket } from "node:net";

/**
 * `answering`: a request of this connection still waits for its reply, for which a reply to the garbled one
 * would be taken.
 */
export function refuseGarbled(error: Error, socket: Socket, answering: boolean): void {
  if (answering || !socket.writable) {
    socket.destroy();
    return;
  }
  const status = statusFor("code" in error ? String(error.code) : "");
  socket.end(
    `HTTP/1.1 ${status}\r\nCache-Control: no-store\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`,
  );
}

function statusFor(code: string): string {
  if (code === "HPE_HEADER_OVERFLOW") return "431 Request Header Fields Too Large";
  if (code === "ERR_HTTP_REQUEST_TIMEOUT") return "408 Request Timeout";
  return "400 Bad Request";
}
