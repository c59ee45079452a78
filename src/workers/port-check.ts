/**
 * Whether an address can be had. Workers share their ports, and so would any other process of the same user that
 * asks for it: only a try without sharing meets those that are there already, an older sparekey among them.
 */
import { once } from "node:events";
import { createServer } from "node:net";
import type { Address } from "../core/snapshot.ts";

/** The address with the port that was had where it asks for 0. Free again once this resolves; rejects as listen does. */
export async function tryAddress({ host, port }: Address): Promise<Address> {
  const server = createServer((socket) => socket.destroy());
  server.listen({ host, port });
  await once(server, "listening");
  const bound = server.address();
  await new Promise((resolve) => server.close(resolve));
  return { host, port: typeof bound === "object" && bound !== null ? bound.port : port };
}
