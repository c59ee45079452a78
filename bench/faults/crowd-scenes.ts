/**
 * The rows where nothing is broken but many come at once, and those where gateways give up before sparekey does. An
 * upstream that is busy is not broken: nobody falls back, nobody is let in, and the breaker stays closed.
 */
import { type OneThreadBlocker, startOneThreadBlocker } from "../../src/demo/one-thread-blocker.ts";
import { bytesOf, headersOf, shape, VERDICTS } from "./answers.ts";
import { MODES, type Mode } from "./oracle.ts";
import { plainly, type Scene, type Staged, scene } from "./scenes.ts";
import { hang } from "./speeches.ts";
import { type Speech, type StandIn, startStandIn } from "./stand-in.ts";

/** As a Poison Fountain: a queue of five, and one check after the other. */
const FLOOD_ANSWER_MS = 10;
const BOTS = 16;
/** If each of the crowd waited for its turn, the last one would wait longer than `read`. */
const BUSY_ANSWER_MS = 20;
const CROWD = 32;
const BYSTANDERS_PER_SECOND = 10;
/** Few enough that those who wait 4.5 s need no more connections than there are. */
const GATEWAYS_PER_SECOND = 10;
/** A hedge comes after ten times the usual time, which must not be that of the start. */
const WARMS_MS = 3_000;

const PASSED = shape([200], [], ["x-auth-fallback"]);
const REFUSED = shape([403], [], ["x-auth-fallback"]);

export const CROWD_SCENES: readonly Scene[] = [
  {
    ...scene({ name: "flood", row: "fine", verdicts: verdictsOf(PASSED, REFUSED), reasons: [] }, flooded),
    rounds: 1,
    clients: ["visitor"],
    perSecond: BYSTANDERS_PER_SECOND,
    crowd: { size: BOTS, headersOf: () => crowdHeaders("192.0.2.66", "GPTBot/1.0") },
  },
  {
    ...scene({ name: "busy", row: "fine", isBusy: true, reasons: [] }, busy),
    rounds: 1,
    clients: ["visitor"],
    perSecond: BYSTANDERS_PER_SECOND,
    crowd: { size: CROWD, headersOf: (index) => crowdHeaders(`198.51.100.${index + 1}`, "Mozilla/5.0") },
  },
  abandoned(0.2),
  abandoned(1),
  abandoned(4.5),
];

/**
 * The timeouts are the shipped ones, because the wait before a hedge is the same for all of them: a gateway that gave
 * up ten times as soon as these would give up before a hedge.
 */
function abandoned(seconds: number): Scene {
  const fault = {
    name: `abandoned-${seconds}s`,
    row: 2,
    isSilent: true,
    reasons: ["breaker_open", "reset"],
  } as const;
  const made = scene({ ...fault, patience: seconds * 1_000 }, async () => {
    const standIn = await startStandIn();
    return {
      ...plainly(`http://127.0.0.1:${standIn.port}`),
      timeouts: "shipped",
      begin: async () => standIn.speak(hang),
      heal: async () => standIn.speak(null),
      close: standIn.close,
    };
  });
  return { ...made, rounds: 1, warmsMs: WARMS_MS, perSecond: GATEWAYS_PER_SECOND };
}

async function flooded(): Promise<Staged> {
  const blockers = new Map<Mode, OneThreadBlocker>();
  for (const mode of MODES) {
    blockers.set(mode, await startOneThreadBlocker({ port: 0, millisecondsPerAnswer: FLOOD_ANSWER_MS }));
  }
  return {
    ...plainly(""),
    upstream: eachMode((mode) => blockers.get(mode)?.url ?? ""),
    path: "/auth",
    settings: ["preset: bot-block"],
    headersOf: () => ({ ...headersOf("visitor"), "User-Agent": "Mozilla/5.0" }),
    begin: async () => {},
    heal: async () => {},
    close: async () => {
      await Promise.all([...blockers.values()].map((blocker) => blocker.close()));
    },
  };
}

async function busy(): Promise<Staged> {
  const servers = new Map<Mode, StandIn>();
  for (const mode of MODES) {
    const standIn = await startStandIn();
    standIn.speakOn(oneAtATime());
    servers.set(mode, standIn);
  }
  return {
    ...plainly(""),
    upstream: eachMode((mode) => `http://127.0.0.1:${servers.get(mode)?.port}`),
    begin: async () => {},
    heal: async () => {},
    close: async () => {
      await Promise.all([...servers.values()].map((standIn) => standIn.close()));
    },
  };
}

/**
 * It takes connections as they come, and answers one check after the other. Which one is next is chance, as with threads
 * that wait for a lock. With a queue it would turn, under so many, to those alone that are about to leave, and so answer
 * nobody.
 */
function oneAtATime(): Speech {
  const waiting: (readonly [socket: Parameters<Speech>[0], client: Parameters<Speech>[1]])[] = [];
  let isAtWork = false;
  const next = (): void => {
    const [chosen] = waiting.splice(Math.floor(Math.random() * waiting.length), 1);
    isAtWork = chosen !== undefined;
    if (chosen === undefined) return;
    const [socket, client] = chosen;
    if (socket.destroyed) return next();
    setTimeout(() => {
      socket.write(bytesOf(VERDICTS[client]));
      next();
    }, BUSY_ANSWER_MS);
  };
  return (socket, client) => {
    waiting.push([socket, client]);
    if (!isAtWork) next();
  };
}

function crowdHeaders(address: string, userAgent: string): Readonly<Record<string, string>> {
  return { ...headersOf("crowd"), "X-Forwarded-For": address, "User-Agent": userAgent };
}

function verdictsOf(
  bystander: ReturnType<typeof shape>,
  crowd: ReturnType<typeof shape>,
): Scene["fault"]["verdicts"] {
  return {
    visitor: bystander,
    member: bystander,
    banned: bystander,
    admin: bystander,
    guesser: bystander,
    crowd,
  };
}

function eachMode(urlOf: (mode: Mode) => string): Staged["upstream"] {
  return {
    allow: urlOf("allow"),
    "basic-auth": urlOf("basic-auth"),
    deny: urlOf("deny"),
    none: urlOf("none"),
  };
}
