/** The open connections of a listener, whichever path has them. */
import type { Socket } from "node:net";
import { LinkedList } from "../core/linked-list.ts";

export interface UseCount {
  inFlight: number;
  /** When its last check was answered, or a head began, or it was opened. */
  since: number;
}

/** How a connection is used. */
export interface SocketUse extends UseCount {
  readonly socket: Socket;
  /** It is null once the connection is on the slow path. */
  fast: FastConnection | null;
}

/** A connection on the fast path. */
export interface FastConnection {
  /** It is called every few seconds. */
  closeIfLate(now: number): void;
  /** Its socket has closed. */
  closed(): void;
}

export class OpenSockets {
  readonly #all = new LinkedList<SocketUse>();
  /** Those on the slow path, where only the socket is known. */
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

  /** A connection that is not on the slow path has no use that counts. */
  readonly useOf = (socket: Socket): UseCount => this.#uses.get(socket) ?? { inFlight: 0, since: 0 };

  each(visit: (use: SocketUse) => void): void {
    this.#all.each(visit);
  }
}
