/**
 * Sockets whose bytes are all read into one buffer, `READ_BUFFER`: a listener gets how many there are, and they are
 * good until it returns. Node's own way, 64 KiB of memory for each read, is most of what a check would cost besides
 * the kernel's work.
 */
import { connect, type Socket, type TcpNetConnectOpts } from "node:net";

export const READ_BUFFER = Buffer.allocUnsafeSlow(64 * 1024);

/** The first `length` of `READ_BUFFER` came. */
export type BytesListener = (length: number) => void;

/** Emits "bytes" (`BytesListener`). What comes while nobody listens was not asked for, and ends it. */
export function connectForBytes(options: TcpNetConnectOpts): Socket {
  const callback = (length: number): boolean => {
    if (!socket.emit("bytes", length)) socket.destroy();
    return true;
  };
  const socket = connect({ ...options, onread: { buffer: READ_BUFFER, callback } });
  return socket;
}

/**
 * The same for a socket that a server accepted; its stream gets no byte until the result is called. Node offers this
 * for its own connections alone: the places where it keeps them are filled in. A Node that keeps them elsewhere is
 * read from as a stream.
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

/** False: this Node has no such place. */
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

/** The same in all sockets. */
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
