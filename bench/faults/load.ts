/** Sends checks at a steady rate. It never waits for a reply, so a slow reply delays no other check. */
import { Agent, request } from "node:http";
import type { Client } from "./answers.ts";
import { MODES, type Mode, type SeenReply } from "./oracle.ts";

/** Far above every timeout of the config. */
const PATIENCE_MS = 12_000;

export interface Replied {
  readonly mode: Mode;
  readonly client: Client;
  /** `performance.now()` of both. */
  readonly sent: number;
  readonly done: number;
  /** A text: why there is no reply. */
  readonly reply: SeenReply | string;
}

/** Who sends checks, and where. */
export interface Gateways {
  /** The URL of the check for each mode. */
  readonly urls: Readonly<Record<Mode, string>>;
  readonly clients: readonly Client[];
  readonly headersOf: (client: Client) => Readonly<Record<string, string>>;
  /** Checks for each mode. */
  readonly perSecond: number;
  /** null: they wait for the reply. */
  readonly patience: number | null;
}

/** Many who come beside the others. Each sends its next check once it has its reply. */
export interface Crowd {
  readonly size: number;
  /** `index`: which of them. */
  readonly headersOf: (index: number) => Readonly<Record<string, string>>;
}

export interface Load {
  /** Resolves when every check has its reply. */
  stop(): Promise<void>;
}

/** What a check is worth whose gateway has given up. */
export const GIVEN_UP = "given up";

/** Sends `perSecond` checks per mode, of each kind of client in turn. */
export function startLoad(gateways: Gateways, onReply: (replied: Replied) => void): Load {
  const { urls, clients, headersOf, perSecond, patience } = gateways;
  const agent = newAgent();
  const pending = new Set<Promise<void>>();
  let count = 0;
  const timer = setInterval(() => {
    const client = clients[count % clients.length] ?? "visitor";
    count += 1;
    for (const mode of MODES) {
      const sent = performance.now();
      const asked = ask(urls[mode], headersOf(client), agent, patience).then((reply) => {
        pending.delete(asked);
        onReply({ mode, client, sent, done: performance.now(), reply });
      });
      pending.add(asked);
    }
  }, 1_000 / perSecond);
  return {
    stop: async () => {
      clearInterval(timer);
      await Promise.all(pending);
      agent.destroy();
    },
  };
}

/** The whole crowd comes to each mode. */
export function startCrowd(
  { size, headersOf }: Crowd,
  urls: Gateways["urls"],
  onReply: (replied: Replied) => void,
): Load {
  const agent = newAgent();
  let isOver = false;
  const come = async (mode: Mode, index: number): Promise<void> => {
    while (!isOver) {
      const sent = performance.now();
      const reply = await ask(urls[mode], headersOf(index), agent, null);
      onReply({ mode, client: "crowd", sent, done: performance.now(), reply });
    }
  };
  const all = MODES.flatMap((mode) => Array.from({ length: size }, (_, index) => come(mode, index)));
  return {
    stop: async () => {
      isOver = true;
      await Promise.all(all);
      agent.destroy();
    },
  };
}

function newAgent(): Agent {
  return new Agent({ keepAlive: true, maxSockets: Number.POSITIVE_INFINITY });
}

function ask(
  url: string,
  headers: Readonly<Record<string, string>>,
  agent: Agent,
  patience: number | null,
): Promise<SeenReply | string> {
  return new Promise((resolve) => {
    const asked = request(url, { agent, headers }, (response) => {
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
    const late = setTimeout(() => {
      asked.destroy(new Error(patience === null ? "no reply in 12 s" : GIVEN_UP));
    }, patience ?? PATIENCE_MS);
    asked.on("error", (error) => {
      clearTimeout(late);
      resolve(error.message);
    });
    asked.end();
  });
}
