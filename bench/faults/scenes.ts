/** The rows of the matrix: what the oracle says about each fault, and how it is caused and healed. */
import type { WireMode } from "../../src/core/snapshot.ts";
import { answer, CLIENTS, type Client, headersOf, VERDICTS } from "./answers.ts";
import type { Behaviour, DnsServer } from "./dns-server.ts";
import type { Crowd } from "./load.ts";
import { addAddress, drop, letThrough, makeReachable, makeUnreachable } from "./namespace.ts";
import type { Fault, Mode } from "./oracle.ts";
import * as speeches from "./speeches.ts";
import { type KeyPair, type Speech, type StandIn, startStandIn } from "./stand-in.ts";

/** What belongs to this run of the bench. */
export interface Stage {
  readonly wire: WireMode;
  /** null without a namespace. */
  readonly dns: DnsServer | null;
  readonly goodPair: () => Promise<KeyPair>;
  readonly strangerPair: () => Promise<KeyPair>;
  /** A new address at each call, for upstreams that need their own. */
  readonly freeAddress: () => string;
}

export interface Staged {
  readonly upstream: Readonly<Record<Mode, string>>;
  /** The path of checks, as the upstream knows it. */
  readonly path: string;
  /** Further lines of each route's config. */
  readonly settings: readonly string[];
  readonly timeouts: "short" | "shipped";
  readonly headersOf: (client: Client) => Readonly<Record<string, string>>;
  /** PEM text of the authority that the route trusts. */
  readonly ca: string | null;
  readonly loginHealth: string | null;
  begin(): Promise<void>;
  heal(): Promise<void>;
  close(): Promise<void>;
}

export interface Scene {
  readonly fault: Fault;
  readonly needsNamespace: boolean;
  /** The fault begins before sparekey does. */
  readonly fromTheStart: boolean;
  /** How often it begins and is healed: once, where what sparekey learns then remains. */
  readonly rounds: 1 | 2;
  readonly clients: readonly Client[];
  /** Checks for each mode. */
  readonly perSecond: number;
  /** Who comes while the fault lasts. */
  readonly crowd: Crowd | null;
  /** How long it is well beforehand, so that what sparekey measures of its answers is no longer that of its start. */
  readonly warmsMs: number;
  /** The least time that the fault lasts if it opens no breaker. */
  readonly lastsMs: number;
  stage(stage: Stage): Promise<Staged>;
}

const LASTS_MS = 3_000;
/** Longer than addresses count as fresh (5 s), so that lookups are tried and fail. */
const DNS_LASTS_MS = 7_000;

const JSON_400 = answer(400, "Bad Request", '{"Message":"no app for hostname"}', {
  "Content-Type": "application/json",
});
const BARE_400 = answer(400, "Bad Request", "", {});

export const SCENES: readonly Scene[] = [
  scene({ name: "refused", row: 1, reasons: ["refused", "reset"] }, refused),
  inNamespace({ name: "unreachable", row: 1, reasons: ["unreachable", "read_timeout"] }, unreachable),
  inNamespace(
    { name: "black-hole", row: 2, isSilent: true, reasons: ["connect_timeout", "read_timeout"] },
    (stage) => dropping(stage, "all packets"),
  ),
  inNamespace(
    { name: "connect-timeout", row: 2, isSilent: true, reasons: ["connect_timeout", "reset"] },
    (stage) => dropping(stage, "new connections"),
  ),
  byName("dns-nxdomain", "nxdomain"),
  byName("dns-servfail", "servfail"),
  byName("dns-silence", "silence"),
  {
    ...inNamespace({ name: "dns-dead-later", row: "fine", reasons: [] }, (stage) =>
      named(stage, "later.test", "silence"),
    ),
    lastsMs: DNS_LASTS_MS,
  },
  scene({ name: "tls", row: 1, reasons: ["tls", "reset"] }, strangeCertificate),
  hang(),
  speaking({ name: "drip", row: 2, reasons: ["total_timeout", "reset"] }, speeches.drip),
  speaking({ name: "reset-before-head", row: 2, reasons: ["reset"] }, speeches.resetBeforeHead),
  speaking({ name: "reset-in-head", row: 2, reasons: ["reset"] }, speeches.resetInHead),
  speaking({ name: "reset-in-body", row: 2, reasons: ["reset"] }, speeches.resetInBody),
  speaking({ name: "truncated", row: 2, reasons: ["reset"] }, speeches.truncate),
  speaking({ name: "garbage", row: 2, reasons: ["malformed", "reset"] }, speeches.garbage),
  speaking({ name: "oversize-head", row: 2, reasons: ["too_large", "reset"] }, speeches.oversizeHead),
  speaking({ name: "1xx-flood", row: 2, reasons: ["too_large", "reset"] }, speeches.interimFlood),
  status(502, "Bad Gateway", 2),
  status(503, "Service Unavailable", 2),
  status(504, "Gateway Timeout", 2),
  status(500, "Internal Server Error", 3),
  speaking(
    { name: "bare-400", row: 3, answer: BARE_400, hits: "cookie-less", reasons: ["bare_400", "reset"] },
    speeches.toVisitors(BARE_400),
  ),
  speaking(
    { name: "json-400", row: 3, answer: JSON_400, reasons: ["status_400", "reset"] },
    speeches.always(JSON_400),
  ),
  once(
    speaking(
      { name: "json-400-to-one", row: "fine", answer: JSON_400, hits: "banned", reasons: [] },
      speeches.toBanned(JSON_400),
    ),
  ),
  fromTheStart(hang()),
  fromTheStart(status(503, "Service Unavailable", 2)),
  fromTheStart(status(500, "Internal Server Error", 3)),
  scene({ name: "login-dead", row: "login", hits: "cookie-less", reasons: ["login_down"] }, deadLogin),
  once(speaking({ name: "http-1.0-close", row: "fine", reasons: [] }, speeches.closeDelimited)),
];

export type FaultData = Pick<Fault, "name" | "row" | "reasons"> & Partial<Fault>;

export function scene(fault: FaultData, stage: Scene["stage"]): Scene {
  const usual = {
    answer: null,
    verdicts: VERDICTS,
    hits: "all",
    isSilent: false,
    isUnproven: false,
    isBusy: false,
  } as const;
  return {
    fault: { ...usual, patience: null, ...fault },
    needsNamespace: false,
    fromTheStart: false,
    rounds: 2,
    warmsMs: 0,
    lastsMs: LASTS_MS,
    clients: CLIENTS,
    perSecond: 100,
    crowd: null,
    stage,
  };
}

function inNamespace(fault: FaultData, stage: Scene["stage"]): Scene {
  return { ...scene(fault, stage), needsNamespace: true };
}

/** The name must never have resolved, because a name that has resolved keeps its addresses. */
function byName(name: string, behaviour: Behaviour): Scene {
  const host = `${name}.test`;
  const made = inNamespace({ name, row: 1, reasons: ["dns"] }, (stage) => named(stage, host, behaviour));
  return { ...made, fromTheStart: true, rounds: 1 };
}

function speaking(fault: FaultData, speech: Speech): Scene {
  return scene(fault, async () => {
    const standIn = await startStandIn();
    // A cut is a fault too: a check that is then on a fresh connection rightly gets a fallback.
    const say = fault.row === "fine" ? standIn.speakOn : standIn.speak;
    return staged(standIn, { begin: async () => say(speech), heal: async () => say(null) });
  });
}

/** No breaker opens, so a second time would show nothing new. */
function once(scene: Scene): Scene {
  return { ...scene, rounds: 1 };
}

function hang(): Scene {
  return speaking(
    { name: "hang", row: 2, isSilent: true, reasons: ["read_timeout", "reset"] },
    speeches.hang,
  );
}

function status(code: number, text: string, row: 2 | 3): Scene {
  const said = answer(code, text, `${text}\n`, {});
  return speaking(
    { name: `status-${code}`, row, answer: said, reasons: [`status_${code}`, "reset"] },
    speeches.always(said),
  );
}

/** sparekey starts in the midst of the outage, so that no probe of it was ever answered. */
function fromTheStart({ fault, ...same }: Scene): Scene {
  const name = `${fault.name}-from-the-start`;
  return { ...same, fault: { ...fault, name, isUnproven: true }, fromTheStart: true, rounds: 1 };
}

/** An upstream of all modes, with the settings of most rows. */
export function plainly(url: string): Omit<Staged, "begin" | "heal" | "close"> {
  return {
    ...{ upstream: everyMode(url), path: "/check", settings: [], timeouts: "short", headersOf },
    ...{ ca: null, loginHealth: null },
  };
}

export function everyMode(url: string): Staged["upstream"] {
  return { allow: url, "basic-auth": url, deny: url, none: url };
}

function staged(standIn: StandIn, parts: Pick<Staged, "begin" | "heal"> & Partial<Staged>): Staged {
  return {
    ...plainly(`http://127.0.0.1:${standIn.port}`),
    close: standIn.close,
    ...parts,
  };
}

async function refused(): Promise<Staged> {
  const standIn = await startStandIn();
  return staged(standIn, { begin: standIn.refuse, heal: standIn.listen });
}

async function unreachable({ freeAddress }: Stage): Promise<Staged> {
  const address = freeAddress();
  await addAddress(address);
  const standIn = await startStandIn(address);
  return staged(standIn, {
    upstream: everyMode(`http://${address}:${standIn.port}`),
    begin: () => makeUnreachable(address),
    heal: () => makeReachable(address),
  });
}

async function dropping(_stage: Stage, what: "all packets" | "new connections"): Promise<Staged> {
  const standIn = await startStandIn();
  return staged(standIn, {
    begin: async () => {
      await drop(standIn.port, what);
      if (what === "new connections") standIn.speak(null);
    },
    heal: () => letThrough(standIn.port),
  });
}

async function named({ dns }: Stage, host: string, behaviour: Behaviour): Promise<Staged> {
  const standIn = await startStandIn();
  dns?.set(host, "address");
  return staged(standIn, {
    upstream: everyMode(`http://${host}:${standIn.port}`),
    begin: async () => {
      dns?.set(host, behaviour);
      // Existing connections need no name.
      standIn.speak(null);
    },
    heal: async () => dns?.set(host, "address"),
  });
}

/** The server has become another one, or its certificate has expired. */
async function strangeCertificate({ goodPair, strangerPair }: Stage): Promise<Staged> {
  const [good, stranger] = await Promise.all([goodPair(), strangerPair()]);
  const standIn = await startStandIn("127.0.0.1", good);
  return staged(standIn, {
    upstream: everyMode(`https://127.0.0.1:${standIn.port}`),
    ca: good.cert,
    begin: async () => standIn.present(stranger),
    heal: async () => standIn.present(good),
  });
}

async function deadLogin(): Promise<Staged> {
  const standIn = await startStandIn();
  const login = await startStandIn();
  const alive = speeches.always(answer(204, "No Content", "", {}));
  const dead = speeches.always(answer(503, "Service Unavailable", "", {}));
  login.speak(alive);
  return staged(standIn, {
    loginHealth: `http://127.0.0.1:${login.port}/health`,
    begin: async () => login.speak(dead),
    heal: async () => login.speak(alive),
    close: async () => {
      await Promise.all([standIn.close(), login.close()]);
    },
  });
}
