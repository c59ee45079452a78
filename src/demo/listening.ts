import { once } from "node:events";
import type { Server } from "node:http";
import type { AddressInfo } from "node:net";

/** A server of the demo, on 127.0.0.1. */
export interface Listening {
  readonly port: number;
  /** `http://127.0.0.1:PORT`, without a slash at the end. */
  readonly url: string;
  /** Stops at once and cuts open connections. */
  close(): Promise<void>;
}

/** Listens on 127.0.0.1, for port 0 on one that the system chooses. Rejects when the port is taken. */
export async function listen(server: Server, port: number): Promise<Listening> {
  server.listen(port, "127.0.0.1");
  await once(server, "listening");
  const { port: bound } = server.address() as AddressInfo;
  return {
    port: bound,
    url: `http://127.0.0.1:${bound}`,
    close: async () => {
      if (!server.listening) return;
      const closed = once(server, "close");
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}
