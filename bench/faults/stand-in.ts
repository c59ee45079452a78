/** An upstream that is healthy until it is told how to fail. It is raw TCP, so it can send any bytes or none. */
import { once } from "node:events";
import { createServer, type Server, type Socket } from "node:net";
import { createServer as createTlsServer, type Server as TlsServer } from "node:tls";
import { portOf } from "../ports.ts";
import { bytesOf, clientOf, VERDICTS } from "./answers.ts";

/** What it does with one request. */
export type Speech = (socket: Socket, client: "visitor" | "member" | "banned") => void;

export interface KeyPair {
  readonly key: string;
  readonly cert: string;
}

export interface StandIn {
  readonly port: number;
  /** null: it is healthy. Connections in use are cut, as by a restart. */
  speak(speech: Speech | null): void;
  /** Does the same without cutting connections. */
  speakOn(speech: Speech | null): void;
  /** From now on nothing listens on the port. */
  refuse(): Promise<void>;
  listen(): Promise<void>;
  /** TLS only: sets the certificate of new connections, and cuts the existing ones. */
  present(pair: KeyPair): void;
  close(): Promise<void>;
}

export function sayWell(socket: Socket, client: "visitor" | "member" | "banned"): void {
  socket.write(bytesOf(VERDICTS[client]));
}

/** `pair`: the key and certificate if it speaks TLS. */
export async function startStandIn(host = "127.0.0.1", pair: KeyPair | null = null): Promise<StandIn> {
  const sockets = new Set<Socket>();
  let speech: Speech = sayWell;
  const serve = (socket: Socket): void => {
    let received = "";
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
    socket.on("error", () => {});
    socket.on("data", (chunk) => {
      received += chunk.toString("latin1");
      for (let end = received.indexOf("\r\n\r\n"); end !== -1; end = received.indexOf("\r\n\r\n")) {
        const head = received.slice(0, end + 4);
        received = received.slice(end + 4);
        speech(socket, clientOf(head));
      }
    });
  };
  const tls = pair === null ? null : createTlsServer(pair, serve);
  tls?.on("tlsClientError", () => {});
  const server: Server | TlsServer = tls ?? createServer({ noDelay: true }, serve);
  const listen = async (port: number): Promise<number> => {
    server.listen(port, host);
    await once(server, "listening");
    return portOf(server);
  };
  const cut = (): void => {
    for (const socket of sockets) socket.destroy();
  };
  const refuse = async (): Promise<void> => {
    if (!server.listening) return;
    const closed = once(server, "close");
    server.close();
    cut();
    await closed;
  };
  const speakOn = (next: Speech | null): void => {
    speech = next ?? sayWell;
  };
  const port = await listen(0);
  return {
    port,
    speak: (next) => {
      speakOn(next);
      cut();
    },
    speakOn,
    refuse,
    listen: async () => {
      await listen(port);
    },
    present: (next) => {
      tls?.setSecureContext(next);
      cut();
    },
    close: refuse,
  };
}
