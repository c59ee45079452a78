/** Sends checks at a steady rate. It never waits for a reply, so a slow reply delays no other check. */
import { Agent, request } from "node:http";
import { CLIENTS, type Client, headersOf } from "./answers.ts";
import { MODES, type Mode, type SeenReply } from "./oracle.ts";

export const PER_SECOND = 100;
/** Far above every timeout of the config. */
const PATIENCE_MS = 5_000;

export interface Replied {
  readonly mode: Mode;
  readonly client: Client;
  /** `performance.now()` of both. */
  readonly sent: number;
  readonly done: number;
  /** A text: why there is no reply. */
  readonly reply: SeenReply | string;
}

export interface Load {
  /** Resolves when every check has its reply. */
  stop(): Promise<void>;
}

/** Sends `PER_SECOND` checks per mode, of each kind of client in turn. The path for a mode is the mode's name. */
export function startLoad(origin: string, onReply: (replied: Replied) => void): Load {
  const agent = new Agent({ keepAlive: true, maxSockets: Number.POSITIVE_INFINITY });
  const pending = new Set<Promise<void>>();
  let count = 0;
  const timer = setInterval(() => {
    const client = CLIENTS[count % CLIENTS.length] ?? "visitor";
    count += 1;
    for (const mode of MODES) {
      const sent = performance.now();
      const asked = ask(`${origin}/${mode}`, client, agent).then((reply) => {
        pending.delete(asked);
        onReply({ mode, client, sent, done: performance.now(), reply });
      });
      pending.add(asked);
    }
  }, 1_000 / PER_SECOND);
  return {
    stop: async () => {
      clearInterval(timer);
      await Promise.all(pending);
      agent.destroy();
    },
  };
}

function ask(url: string, client: Client, agent: Agent): Promise<SeenReply | string> {
  return new Promise((resolve) => {
    const asked = request(url, { agent, headers: headersOf(client) }, (response) => {
      let body = "";
      response.setEncoding("utf8");
      response.on("data", (text: string) => {
        body += text;
      });
      response.on("error", (error) => resolve(error.message));
      response.on("end", () => {
        clearTimeout(late);
        resolve({ status: response.statusCode ?? 0, headers: response.headers, body });
      });
    });
    const late = setTimeout(() => asked.destroy(new Error("no reply in 5 s")), PATIENCE_MS);
    asked.on("error", (error) => {
      clearTimeout(late);
      resolve(error.message);
    });
    asked.end();
  });
}
