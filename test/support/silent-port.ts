/** A port that drops connection attempts, as a host behind a broken network does. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import type { Test } from "tap";

const BLOCKED_LISTENER = `
  const server = require("node:net").createServer().listen({ port: 0, host: "127.0.0.1", backlog: 1 }, () => {
    require("node:fs").writeSync(1, String(server.address().port));
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
  });`;

/** A listener that never accepts, with its queue filled: Linux drops further SYNs. */
export async function silentPort(t: Test): Promise<number> {
  const child = spawn(process.execPath, ["-e", BLOCKED_LISTENER], { stdio: ["ignore", "pipe", "inherit"] });
  t.teardown(() => child.kill("SIGKILL"));
  const [chunk] = await once(child.stdout, "data");
  const port = Number(String(chunk));
  const fillers: Socket[] = [];
  t.teardown(() => {
    for (const filler of fillers) filler.destroy();
  });
  for (let i = 0; i < 8; i += 1) fillers.push(connect(port, "127.0.0.1").on("error", () => {}));
  // The first ones are taken into the queue by the kernel; once one was not, the queue is full.
  await Promise.all(fillers.slice(0, 2).map((filler) => once(filler, "connect")));
  return port;
}
