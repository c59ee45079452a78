/** A port that drops connection attempts, like a host behind a broken network. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { connect } from "node:net";

const BLOCKED_LISTENER = `
  const server = require("node:net").createServer().listen({ port: 0, host: "127.0.0.1", backlog: 1 }, () => {
    require("node:fs").writeSync(1, String(server.address().port));
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
  });`;

export interface SilentPort {
  readonly port: number;
  end(): void;
}

/** A process that never accepts. When its queue is full, Linux drops further SYNs. */
export async function silentPort(): Promise<SilentPort> {
  const child = spawn(process.execPath, ["-e", BLOCKED_LISTENER], { stdio: ["ignore", "pipe", "inherit"] });
  const [chunk] = await once(child.stdout, "data");
  const port = Number(String(chunk));
  const fillers = Array.from({ length: 8 }, () => connect(port, "127.0.0.1").on("error", () => {}));
  // The kernel puts the first connections into the queue, which is full then.
  await Promise.all(fillers.slice(0, 2).map((filler) => once(filler, "connect")));
  return {
    port,
    end: () => {
      for (const filler of fillers) filler.destroy();
      child.kill("SIGKILL");
    },
  };
}
