/** The open connections of a listener, whichever carrier has them. */
import type { Socket } from "node:net";
import { LinkedList } from "../core/linked-list.ts";

/** How a connection is used. */
export interface SocketUse {
  readonly socket: Socket;
  inFlight: number;
  /** When its last check was answered, or a head began, or it was opened. */
  since: number;
  /** null: Fastify has it. */
  fast: FastConnection | null;
}

/** A connection that the first carrier has. */
export interface FastConnection {
  /** Call it every few seconds. */
  closeIfLate(now: number): void;
  /** Its socket is. */
  closed(): void;
}

export class OpenSockets {
  readonly #all = new LinkedList<SocketUse>();
  /** Of Fastify, which knows its sockets only. */
  readonly #uses = new WeakMap<Socket, SocketUse>();
  #count = 0;

  get count(): number {
    return this.#count;
  }

  add(socket: Socket, now: number): SocketUse {
    const use: SocketUse = { socket, inFlight: 0, since: now, fast: null };
    const place = this.#all.add(use);
    this.#count += 1;
    socket.on("close", () => {
      this.#all.leave(place);
      this.#count -= 1;
      use.fast?.closed();
    });
    return use;
  }

  giveToFastify(use: SocketUse): void {
    use.fast = null;
    this.#uses.set(use.socket, use);
  }

  /** undefined: none of Fastify's. */
  useOf(socket: Socket): SocketUse | undefined {
    return this.#uses.get(socket);
  }

  each(visit: (use: SocketUse) => void): void {
    this.#all.each(visit);
  }
}
