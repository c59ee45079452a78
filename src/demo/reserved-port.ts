import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { createServer, type Server } from "node:net";

/** A port of 127.0.0.1 that no other program gets until it is released. */
export interface ReservedPort {
  readonly port: number;
  /** `http://127.0.0.1:PORT`, without a slash at the end. */
  readonly url: string;
  release(): Promise<void>;
}

/** Reserves the preferred port, or one that the system chooses when it is taken. */
export async function reservePort(preferred: number): Promise<ReservedPort> {
  const server = (await tryListen(preferred)) ?? (await tryListen(0));
  if (server === null) throw new Error("no free port on 127.0.0.1; end a program that holds many");
  const { port } = server.address() as AddressInfo;
  return {
    port,
    url: `http://127.0.0.1:${port}`,
    release: async () => {
      if (!server.listening) return;
      const closed = once(server, "close");
      server.close();
      await closed;
    },
  };
}

async function tryListen(port: number): Promise<Server | null> {
  const server = createServer((socket) => socket.destroy());
  server.listen(port, "127.0.0.1");
  try {
    await once(server, "listening");
    return server;
  } catch {
    return null;
  }
}
