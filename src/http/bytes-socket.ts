/**
 * Sockets that read all bytes into one buffer, `READ_BUFFER`. A listener gets how many came, and they are good until it
 * returns. Node's own way takes 64 KiB of memory for each read, which would be most of what a check costs besides the
 * work of the kernel.
 */
import { connect, type Socket, type TcpNetConnectOpts } from "node:net";

export const READ_BUFFER = Buffer.allocUnsafeSlow(64 * 1024);

/** The first `length` bytes of `READ_BUFFER` came. */
type BytesListener = (length: number) => void;

/** The socket emits "bytes" (`BytesListener`). Bytes that come without a listener were not asked for, and end it. */
export function connectForBytes(options: TcpNetConnectOpts): Socket {
  const callback = (length: number): boolean => {
    if (!socket.emit("bytes", length)) socket.destroy();
    return true;
  };
  const socket = connect({ ...options, onread: { buffer: READ_BUFFER, callback } });
  return socket;
}

/**
 * Does the same for a socket that a server accepted. Its stream gets no byte until the result is called. Node offers
 * this for outgoing connections only, so the places where it keeps buffer and callback are filled in here. If a version
 * of Node keeps them elsewhere, the socket is read as a stream.
 */
export function listenForBytes(socket: Socket, listener: BytesListener): () => void {
  let listens = true;
  const callback = (length: number): boolean => {
    if (!listens) return socket.push(Buffer.from(READ_BUFFER.subarray(0, length)));
    listener(length);
    return true;
  };
  if (readsInto(socket, callback)) {
    return () => {
      listens = false;
    };
  }
  const onData = (chunk: Buffer): void => {
    for (let at = 0; at < chunk.length; at += READ_BUFFER.length) {
      listener(chunk.copy(READ_BUFFER, 0, at));
    }
  };
  socket.on("data", onData);
  return () => void socket.removeListener("data", onData);
}

/** Returns false if this version of Node has no such places. */
function readsInto(socket: Socket, callback: (length: number) => boolean): boolean {
  const handle: unknown = Reflect.get(socket, "_handle");
  const { buffer, listener } = placesIn(socket);
  if (buffer === undefined || listener === undefined || !takesBuffer(handle)) return false;
  handle.useUserBuffer(READ_BUFFER);
  Reflect.set(socket, buffer, READ_BUFFER);
  Reflect.set(socket, listener, callback);
  return true;
}

interface Places {
  readonly buffer: symbol | undefined;
  readonly listener: symbol | undefined;
}
let places: Places | null = null;

/** The places are the same in all sockets. */
function placesIn(socket: Socket): Places {
  if (places === null) {
    const symbols = Object.getOwnPropertySymbols(socket);
    const named = (name: string): symbol | undefined => symbols.find((symbol) => symbol.description === name);
    places = { buffer: named("kBuffer"), listener: named("kBufferCb") };
  }
  return places;
}

function takesBuffer(handle: unknown): handle is { useUserBuffer(buffer: Uint8Array): void } {
  return typeof handle === "object" && handle !== null && "useUserBuffer" in handle;
}
