/** The ways in which an upstream that can be reached fails to answer. */
import type { Socket } from "node:net";
import { bytesOf, type UpstreamAnswer, VERDICTS } from "./answers.ts";
import { type Speech, sayWell } from "./stand-in.ts";

const DRIP_MS = 100;
/** Time for written bytes to arrive, because a reset discards bytes that it overtakes. */
const BEFORE_RESET_MS = 10;
/** More than the config's `limits.headBytes`. */
const OVERSIZE = 24 * 1024;
const INTERIM = "HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n".repeat(64);

export const hang: Speech = () => {};

export const drip: Speech = (socket) => {
  socket.write("HTTP/1.1 200 OK\r\nX-Drip: ");
  const timer = setInterval(() => socket.write("."), DRIP_MS);
  socket.once("close", () => clearInterval(timer));
};

export const resetBeforeHead: Speech = (socket) => {
  socket.resetAndDestroy();
};

export const resetInHead: Speech = (socket) => sendAndReset(socket, "HTTP/1.1 200 OK\r\nX-Half: ye");

export const resetInBody: Speech = (socket) =>
  sendAndReset(socket, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf");

export const truncate: Speech = (socket) => {
  socket.end("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf");
};

export const garbage: Speech = (socket) => {
  socket.write("\x15\x03\x01 this is not the protocol you are looking for\r\n\r\n");
};

export const oversizeHead: Speech = (socket) => {
  socket.write(`HTTP/1.1 200 OK\r\nX-Large: ${"x".repeat(OVERSIZE)}\r\nContent-Length: 0\r\n\r\n`);
};

/** Sends interim answers as fast as they are read, and never a final one. */
export const interimFlood: Speech = (socket) => {
  const flood = (): void => {
    // One write per turn of the event loop, because a loop of writes would not end while the reader keeps up.
    if (!socket.destroyed) socket.write(INTERIM, () => setImmediate(flood));
  };
  flood();
};

/** Answers like Python's http.server: without a length, so that the end of the connection ends the answer. */
export const closeDelimited: Speech = (socket, client) => {
  socket.end(bytesOf(VERDICTS[client], "1.0"));
};

export function always(answer: UpstreamAnswer): Speech {
  return (socket) => {
    socket.write(bytesOf(answer));
  };
}

/** A full session store, which clients with a session do not notice. */
export function toVisitors(answer: UpstreamAnswer): Speech {
  return (socket, client) => {
    if (client === "visitor") socket.write(bytesOf(answer));
    else sayWell(socket, client);
  };
}

/** One client sends odd checks. */
export function toBanned(answer: UpstreamAnswer): Speech {
  return (socket, client) => {
    if (client === "banned") socket.write(bytesOf(answer));
    else sayWell(socket, client);
  };
}

function sendAndReset(socket: Socket, bytes: string): void {
  socket.write(bytes, () => {
    setTimeout(() => socket.resetAndDestroy(), BEFORE_RESET_MS);
  });
}
