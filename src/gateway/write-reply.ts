/** Writes a reply to the gateway as it is: header lines in their order and spelling, a whole body in one piece. */
import { once } from "node:events";
import type { ServerResponse } from "node:http";
import { pipeline } from "node:stream/promises";
import { firstHeader } from "../core/headers.ts";
import { needsLength } from "../core/replies.ts";
import type { Reply } from "../core/types.ts";

/**
 * `last`: the gateway learns that the connection ends with this reply. Settles when the reply is out. A stream that
 * breaks off cuts the connection, so that no half answer looks whole.
 */
export async function writeReply(reply: Reply, response: ServerResponse, last: boolean): Promise<void> {
  const { body } = reply;
  const headers = [...reply.headers];
  if (last) response.shouldKeepAlive = false;
  response.sendDate = firstHeader(headers, "date") === null;
  if (body.kind === "whole") {
    const hasLength = firstHeader(headers, "content-length") !== null;
    const { length } = body.bytes;
    // Without a length Node would chunk a body that is all there.
    if (needsLength(reply.status, hasLength, response.req.method === "HEAD", length))
      headers.push("Content-Length", String(length));
    const closed = once(response, "close");
    response.writeHead(reply.status, reply.statusText, headers).end(body.bytes);
    await closed;
    return;
  }
  response.writeHead(reply.status, reply.statusText, headers);
  await pipeline(body.chunks, response, { end: false }).then(
    () => response.end(),
    () => cut(response),
  );
}

/** A gateway of HTTP/1.0 would take a plain close for the end of a whole answer, so this is a reset. */
function cut(response: ServerResponse): void {
  response.req.socket.resetAndDestroy();
}
