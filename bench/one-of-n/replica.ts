/**
 * One replica of an upstream that answers as an Authentik outpost does, or fails as it is told. It is raw TCP, so it can
 * send any bytes or none.
 */
import { once } from "node:events";
import { createServer, type Socket } from "node:net";
import { answer } from "../faults/answers.ts";
import { always, drip, hang, resetBeforeHead } from "../faults/speeches.ts";
import type { Speech } from "../faults/stand-in.ts";
import type { SubjectName } from "./cells.ts";
import { healthyAnswer, subjectOf, userIn } from "./clients.ts";

export const HEALTHY_MS = 5;
const SLOW_MS = 10 * HEALTHY_MS;
/** How long a peer may leave a connection open that has been closed on this side. */
const LINGER_MS = 5_000;

export type Deed =
  | "well"
  | "slow"
  | "hung"
  | "refusing"
  | "503"
  | "500"
  | "400"
  | "store-full"
  | "reset"
  | "drip";

const BARE_400 = always(answer(400, "Bad Request", "", {}));
const SPEECHES: Readonly<Record<Exclude<Deed, "well" | "slow" | "store-full">, Speech>> = {
  hung: hang,
  // Nothing listens then, so only a request that came before is answered like this.
  refusing: resetBeforeHead,
  "503": always(answer(503, "Service Unavailable", "no healthy upstream\n", {})),
  "500": always(answer(500, "Internal Server Error", "Internal Server Error\n", {})),
  "400": BARE_400,
  reset: resetBeforeHead,
  drip,
};

export interface Replica {
  listen(): Promise<void>;
  /** Applies at once, also to requests that are being answered. `refusing` closes the port and resets connections. */
  behave(deed: Deed): Promise<void>;
  /** Stops listening, closes idle connections, answers what is there and closes that, as Go's Shutdown does. */
  leave(): Promise<void>;
  /** How many requests came from each subject. */
  counts(): Readonly<Partial<Record<SubjectName, number>>>;
}

export function createReplica(host: string, port: number): Replica {
  /** How many requests are in progress on each connection. */
  const sockets = new Map<Socket, number>();
  const counts: Partial<Record<SubjectName, number>> = {};
  let deed: Deed = "well";
  let isLeaving = false;

  const take = (socket: Socket, head: string): void => {
    const subject = subjectOf(head);
    counts[subject] = (counts[subject] ?? 0) + 1;
    sockets.set(socket, (sockets.get(socket) ?? 0) + 1);
    act(socket, head);
  };
  const act = (socket: Socket, head: string): void => {
    const well = deed === "well" || deed === "slow" || (deed === "store-full" && userIn(head) !== null);
    if (well) setTimeout(() => answerWell(socket, head), deed === "slow" ? SLOW_MS : HEALTHY_MS);
    else if (deed === "store-full") BARE_400(socket, "visitor");
    else if (deed !== "well" && deed !== "slow") SPEECHES[deed](socket, "visitor");
  };
  const answerWell = (socket: Socket, head: string): void => {
    // It may have turned bad in the meantime.
    if (deed !== "well" && deed !== "slow" && deed !== "store-full") return act(socket, head);
    sockets.set(socket, (sockets.get(socket) ?? 1) - 1);
    if (socket.destroyed) return;
    const bytes = healthyAnswer(userIn(head), isLeaving);
    if (isLeaving) socket.end(bytes);
    else socket.write(bytes);
  };
  const server = createServer({ noDelay: true }, (socket) => {
    let received = "";
    sockets.set(socket, 0);
    socket.once("close", () => sockets.delete(socket));
    socket.on("error", () => {});
    socket.on("data", (chunk) => {
      received += chunk.toString("latin1");
      for (let end = received.indexOf("\r\n\r\n"); end !== -1; end = received.indexOf("\r\n\r\n")) {
        const head = received.slice(0, end + 4);
        received = received.slice(end + 4);
        take(socket, head);
      }
    });
  });
  const close = async (cut: (socket: Socket, inProgress: number) => void): Promise<void> => {
    const closed = once(server, "close");
    server.close();
    for (const [socket, inProgress] of sockets) cut(socket, inProgress);
    await closed;
  };
  return {
    listen: async () => {
      server.listen(port, host);
      await once(server, "listening");
    },
    behave: async (next) => {
      deed = next;
      if (next === "refusing") await close((socket) => socket.resetAndDestroy());
    },
    leave: async () => {
      isLeaving = true;
      const late = setTimeout(() => {
        for (const socket of sockets.keys()) socket.destroy();
      }, LINGER_MS);
      await close((socket, inProgress) => {
        if (inProgress === 0) socket.end();
      });
      clearTimeout(late);
    },
    counts: () => counts,
  };
}
