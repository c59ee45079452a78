/** The cases of the comparison: which subjects get which checks, and what they must reply. */
import { once } from "node:events";
import { createServer } from "node:net";
import { type NginxOptions, startNginx } from "../nginx.ts";
import { portOf } from "../ports.ts";
import type { Subject, SubjectName } from "./subjects.ts";
import { type Load, PLAIN } from "./wrk.ts";

export interface Case {
  readonly name: string;
  readonly title: string;
  readonly load: Load;
  /** The first one is the reference. */
  readonly subjects: readonly [SubjectName, ...SubjectName[]];
  readonly upstream: UpstreamKind;
  /** The status of every reply. */
  readonly status: number;
  /** Whether a quick bench includes the case. */
  readonly isQuick: boolean;
}

/** `hung`: it accepts and never answers. `gone`: nothing listens. */
export type UpstreamKind = NonNullable<NginxOptions["answer"]> | "hung" | "gone";

export interface UpstreamInUse {
  readonly port: number;
  stop(): Promise<void>;
}

type Subjects = readonly [SubjectName, ...SubjectName[]];

const ALL: Subjects = ["nginx", "nginx keepalive 512", "HAProxy", "Caddy", "@fastify/http-proxy", "sparekey"];
/** That package fails some connections when each check needs a new one, so its runs would not count. */
const WITHOUT_HTTP_PROXY: Subjects = ["nginx", "nginx keepalive 512", "HAProxy", "Caddy", "sparekey"];
const COMMON = {
  load: PLAIN,
  subjects: ALL,
  upstream: "identity",
  status: 200,
  isQuick: false,
} as const;
const COOKIE_BYTES = 16 * 1024;
/** The port of tcpmux, where nothing listens. */
const UNUSED_PORT = 1;

/** The loads for which pipelining to the upstream is measured too. */
const LOADS: readonly Case[] = [
  { ...COMMON, name: "kept-32", title: "32 kept connections", isQuick: true },
  {
    ...COMMON,
    name: "kept-256",
    title: "256 kept connections",
    load: { ...PLAIN, connections: 256 },
  },
  {
    ...COMMON,
    name: "new",
    title: "a new connection for each check",
    load: { ...PLAIN, isClosing: true },
    subjects: WITHOUT_HTTP_PROXY,
  },
  { ...COMMON, name: "low", title: "low load: 4 kept connections", load: { ...PLAIN, connections: 4 } },
];

export const CASES: readonly Case[] = [
  ...LOADS,
  { ...COMMON, name: "redirect", title: "302 answers to the login", upstream: "login", status: 302 },
  {
    ...COMMON,
    name: "cookies",
    title: "16 KiB of cookies",
    load: { ...PLAIN, cookieBytes: COOKIE_BYTES },
  },
  {
    ...COMMON,
    name: "refused",
    title: "upstream refuses connections: the login page instead",
    subjects: ["nginx", "sparekey"],
    upstream: "gone",
    status: 401,
    isQuick: true,
  },
  {
    ...COMMON,
    name: "routes",
    title: "1,000 routes, and 1 route",
    subjects: ["sparekey", "sparekey, 1,000 routes"],
  },
  ...LOADS.map(
    (load): Case => ({
      ...load,
      name: `${load.name}-pipelined`,
      title: `${load.title}, pipelining to the upstream`,
      subjects: ["nginx", "sparekey, pipelining 4"],
      isQuick: false,
    }),
  ),
];

export async function startUpstream(kind: UpstreamKind, prefix: readonly string[]): Promise<UpstreamInUse> {
  if (kind === "gone") return { port: UNUSED_PORT, stop: async () => {} };
  if (kind === "hung") return startHung();
  return startNginx({ answer: kind, prefix });
}

/** Why the subject is not ready to be measured; null: it is ready. */
export async function whyNotReady({ upstream }: Case, { metrics }: Subject): Promise<string | null> {
  if (upstream !== "gone" || metrics === null) return null;
  const isOpen = /^sparekey_breaker_state\{.*state="(open|half-open)".*\} 1$/m.test(await metrics());
  return isOpen ? null : "its breaker has not opened";
}

async function startHung(): Promise<UpstreamInUse> {
  const server = createServer((socket) => socket.on("error", () => {}).resume()).listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    port: portOf(server),
    // Its connections end when the subjects end.
    stop: async () => void server.close(),
  };
}
