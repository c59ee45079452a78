/**
 * The image's HEALTHCHECK: whether sparekey answers /healthz. It finds the listeners among the sockets of this user.
 * The config cannot tell them: after a refused reload, sparekey still listens where the config before said. One answer
 * is enough, because under a flood one listener may have no connection left while others still answer.
 */
import { readFileSync } from "node:fs";
import { connect } from "node:net";
import { endianness } from "node:os";
import type { Address } from "../core/snapshot.ts";

/** Shorter than the HEALTHCHECK's own timeout, so that the reason is printed. */
const DEADLINE_MS = 2_000;
/** TCP_LISTEN in net/tcp_states.h. */
const LISTENING = "0A";
const REQUEST = "GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
/** No other program answers so, if one of this user shares the network. */
const HEALTHY = /^HTTP\/1\.1 200 [\s\S]*\r\n\r\nok\n$/;

/** Where processes of this user listen. `table`: as in /proc/net/tcp or tcp6 (proc_net_tcp.txt of Linux). */
export function listenersIn(table: string, uid: number): readonly Address[] {
  return table
    .split("\n")
    .slice(1)
    .map((line) => line.trim().split(/\s+/))
    .filter(([, , , state, , , , owner]) => state === LISTENING && Number(owner) === uid)
    .map(([, local = ""]) => {
      const [address = "", port = ""] = local.split(":");
      return { host: hostOf(address), port: Number.parseInt(port, 16) };
    });
}

/** Each group of four bytes is one number in the machine's byte order. */
function hostOf(written: string): string {
  const bytes = Buffer.from(written, "hex");
  if (endianness() === "LE") bytes.swap32();
  const isUnspecified = bytes.every((byte) => byte === 0);
  if (bytes.length === 4) return isUnspecified ? "127.0.0.1" : bytes.join(".");
  return isUnspecified ? "::1" : (bytes.toString("hex").match(/.{4}/g) ?? []).join(":");
}

/** Never rejects. */
function isHealthy({ host, port }: Address): Promise<boolean> {
  return new Promise((resolve) => {
    let reply = "";
    const socket = connect({ host, port })
      .setEncoding("latin1")
      .setTimeout(DEADLINE_MS, () => socket.destroy())
      .on("data", (text: string) => {
        reply += text;
        if (HEALTHY.test(reply)) resolve(true);
      })
      .on("error", () => {})
      .on("close", () => resolve(false));
    socket.write(REQUEST);
  });
}

function table(name: "tcp" | "tcp6"): string {
  try {
    return readFileSync(`/proc/net/${name}`, "utf8");
  } catch {
    // There is no tcp6 without IPv6.
    return "";
  }
}

/** Exits with 0 at the first good answer, and otherwise with 1 and a line for `docker inspect`. */
async function main(): Promise<void> {
  const uid = process.getuid?.() ?? -1;
  const listeners = [...listenersIn(table("tcp"), uid), ...listenersIn(table("tcp6"), uid)];
  const asked = listeners.map(async (listener) => {
    if (await isHealthy(listener)) process.exit(0);
  });
  await Promise.all(asked);
  const where = listeners.map(({ host, port }) => `${host} port ${port}`).join(", ");
  process.stderr.write(
    where === ""
      ? "sparekey does not listen\n"
      : `no answer to /healthz within ${DEADLINE_MS} ms: ${where}\n`,
  );
  process.exit(1);
}

if (import.meta.main) await main();
