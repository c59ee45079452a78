/**
 * Whether an address can be had. Workers share their ports, and any other process of the same user could share them
 * too. Only a try without sharing finds the processes that listen there already, such as an older sparekey.
 */
import { once } from "node:events";
import { createServer } from "node:net";
import type { Address } from "../core/snapshot.ts";

/** Resolves with the address, which is free again then. Port 0 becomes the port that the system chose. Rejects as listen does. */
export async function tryAddress({ host, port }: Address): Promise<Address> {
  const server = createServer((socket) => socket.destroy());
  server.listen({ host, port });
  await once(server, "listening");
  const bound = server.address();
  await new Promise((resolve) => server.close(resolve));
  return { host, port: typeof bound === "object" && bound !== null ? bound.port : port };
}
