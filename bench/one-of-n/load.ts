/**
 * Sends checks that arrive by chance (a Poisson process), as those of many people do. It never waits for a reply, so
 * a slow reply delays no other check.
 */
import { Agent, request } from "node:http";
import type { SubjectName } from "./cells.ts";
import { type Came, cameOf, headersOf, type User, userOf } from "./clients.ts";
import type { Subject } from "./subjects.ts";

const PATH = "/outpost.goauthentik.io/auth/traefik";
/** The share of checks without a session. Chance picks them: a fixed rhythm would agree with a proxy's round robin. */
const VISITORS = 0.1;
/** Traefik keeps two idle connections. */
const KEPT = 2;
/** Two timeouts of 5 s, one after the other, and some more. */
const PATIENCE_MS = 12_000;

export interface Replied {
  readonly user: User;
  /** `performance.now()` of both. */
  readonly sent: number;
  readonly done: number;
  readonly came: Came;
}

export interface Load {
  /** Resolves when every check has its reply. */
  stop(): Promise<readonly Replied[]>;
}

export function startLoad({ name, origin }: Subject, perSecond: number): Load {
  const agent = new Agent({ keepAlive: true, maxSockets: Number.POSITIVE_INFINITY, maxFreeSockets: KEPT });
  const pending = new Set<Promise<unknown>>();
  const replies: Replied[] = [];
  let turn = 0;
  let due = performance.now();
  let timer: NodeJS.Timeout;
  const send = (): void => {
    const asked = ask(`${origin}${PATH}`, name, turn, agent).then((replied) => {
      replies.push(replied);
      pending.delete(asked);
    });
    pending.add(asked);
    turn += 1;
  };
  const next = (): void => {
    due += gapMs(perSecond, Math.random());
    timer = setTimeout(
      () => {
        send();
        next();
      },
      Math.max(0, due - performance.now()),
    );
  };
  next();
  return {
    stop: async () => {
      clearTimeout(timer);
      await Promise.all(pending);
      agent.destroy();
      return replies;
    },
  };
}

/** Milliseconds to the next arrival. `chance` is from 0 to below 1. */
export function gapMs(perSecond: number, chance: number): number {
  return (-Math.log(1 - chance) * 1_000) / perSecond;
}

function ask(url: string, subject: SubjectName, turn: number, agent: Agent): Promise<Replied> {
  const user = Math.random() < VISITORS ? null : userOf(turn);
  const sent = performance.now();
  return new Promise((resolve) => {
    const settle = (came: Came): void => {
      clearTimeout(late);
      resolve({ user, sent, done: performance.now(), came });
    };
    const fail = (error: NodeJS.ErrnoException): void =>
      settle({ kind: "error", text: error.code ?? error.message });
    const asked = request(url, { agent, headers: headersOf(subject, user, turn) }, (response) => {
      response.resume().on("error", fail);
      response.on("end", () => settle(cameOf(response.statusCode ?? 0, response.headers, user)));
    });
    const late = setTimeout(
      () => asked.destroy(new Error(`no reply in ${PATIENCE_MS / 1_000} s`)),
      PATIENCE_MS,
    );
    asked.on("error", fail);
    asked.end();
  });
}
