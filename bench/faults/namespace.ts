/**
 * A network namespace of the bench's own, where dropped packets and false answers for names harm nobody. The bench runs
 * itself again inside. This process stays outside and cleans up, however the one inside ends.
 */
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);

/** This variable is set for the process inside. */
const MARK = "SPAREKEY_BENCH_NAMESPACE";
export const NAME_SERVER = "127.0.0.1";
/** Attempts end soon, and no search domain is tried. */
const RESOLV_CONF = `nameserver ${NAME_SERVER}\nsearch .\noptions timeout:1 attempts:1\n`;

export function isInside(): boolean {
  return process.env[MARK] !== undefined;
}

/** Why there can be no namespace here; null: there can. */
export async function whyNot(): Promise<string | null> {
  if (process.platform !== "linux") return "this is not Linux";
  if (process.getuid?.() !== 0) return "this is not root";
  const folders = (process.env.PATH ?? "").split(":");
  const missing = ["ip", "nft"].filter((tool) => !folders.some((folder) => existsSync(join(folder, tool))));
  if (missing.length > 0) return `${missing.join(" and ")} cannot be found`;
  // The root user of a container may not be allowed to make one.
  return run("unshare", ["--net", "--mount", "true"]).then(
    () => null,
    () => "the system does not allow it",
  );
}

/** Runs this command inside. Resolves with its exit code, when the namespace is gone. `bench` becomes part of its name. */
export async function runInside(bench = "faults"): Promise<number> {
  const name = `sparekey-${bench}-${process.pid}`;
  const folder = `/etc/netns/${name}`;
  const scratch = await mkdtemp(join(tmpdir(), "sparekey-bench-"));
  let child: ReturnType<typeof spawn> | null = null;
  // Ctrl-C reaches both processes, a signal by pid only this one.
  const pass = (signal: NodeJS.Signals): void => {
    child?.kill(signal);
  };
  process.on("SIGINT", pass).on("SIGTERM", pass);
  try {
    await mkdir(folder, { recursive: true });
    await writeFile(`${folder}/resolv.conf`, RESOLV_CONF);
    await run("ip", ["netns", "add", name]);
    await run("ip", ["-n", name, "link", "set", "lo", "up"]);
    const command = ["netns", "exec", name, process.execPath, ...process.argv.slice(1)];
    const env = { ...process.env, [MARK]: name, TMPDIR: scratch };
    child = spawn("ip", command, { stdio: "inherit", env });
    const [code] = await once(child, "exit");
    return typeof code === "number" ? code : 1;
  } finally {
    await clearAway(name, [folder, scratch]);
  }
}

async function clearAway(name: string, folders: readonly string[]): Promise<void> {
  const { stdout } = await run("ip", ["netns", "pids", name]).catch(() => ({ stdout: "" }));
  for (const pid of stdout.split("\n").filter(Boolean)) {
    try {
      process.kill(Number(pid), "SIGKILL");
    } catch {
      // It has ended by itself.
    }
  }
  await run("ip", ["netns", "del", name]).catch(() => {});
  for (const folder of folders) await rm(folder, { recursive: true, force: true });
}

/** Must be called inside only. */
export async function addAddress(address: string): Promise<void> {
  await run("ip", ["addr", "add", `${address}/32`, "dev", "lo"]);
}

export async function removeAddress(address: string): Promise<void> {
  await run("ip", ["addr", "del", `${address}/32`, "dev", "lo"]);
}

/** Makes the kernel say "no route to host" for the address. */
export async function makeUnreachable(address: string): Promise<void> {
  await run("ip", ["addr", "del", `${address}/32`, "dev", "lo"]);
  await run("ip", ["route", "add", "unreachable", `${address}/32`]);
}

export async function makeReachable(address: string): Promise<void> {
  await run("ip", ["route", "del", "unreachable", `${address}/32`]);
  await addAddress(address);
}

/** Packets are silently dropped until `letThrough`. `new connections`: existing connections go on. */
export async function drop(port: number, what: "all packets" | "new connections"): Promise<void> {
  const table = tableOf(port);
  const rules = {
    "all packets": `tcp dport ${port} drop; tcp sport ${port} drop`,
    "new connections": `tcp dport ${port} tcp flags & (syn | ack) == syn drop`,
  };
  const chain = `chain lost { type filter hook input priority 0; ${rules[what]}; };`;
  await run("nft", [`table inet ${table} { ${chain} }`]);
}

export async function letThrough(port: number): Promise<void> {
  await run("nft", ["delete", "table", "inet", tableOf(port)]);
}

function tableOf(port: number): string {
  return `faults_${port}`;
}

/** Packets from and to the address are silently dropped until `reviveAddress`, as those of a dead machine are. */
export async function killAddress(address: string): Promise<void> {
  await run("nft", [
    `table ip ${tableFor("dead", address)} {
      chain received { type filter hook input priority 0; ip daddr ${address} drop; }
      chain sent { type filter hook output priority 0; ip saddr ${address} drop; }
    }`,
  ]);
}

export async function reviveAddress(address: string): Promise<void> {
  await run("nft", ["delete", "table", "ip", tableFor("dead", address)]);
}

/**
 * Each new connection to `service` goes to one of `members` by chance, and stays there, as kube-proxy does it. Both
 * must be addresses in here. A later call replaces the members for new connections.
 */
export async function balance(service: string, port: number, members: readonly string[]): Promise<void> {
  const table = tableFor("service", service);
  const map = members.map((member, index) => `${index} : ${member}`).join(", ");
  // The first line makes sure that there is a table to delete. All of it is one transaction.
  await run("nft", [
    `table ip ${table} {}
    delete table ip ${table}
    table ip ${table} {
      chain out {
        type nat hook output priority -100
        ip daddr ${service} tcp dport ${port} dnat to numgen random mod ${members.length} map { ${map} }
      }
    }`,
  ]);
}

export async function unbalance(service: string): Promise<void> {
  await run("nft", ["delete", "table", "ip", tableFor("service", service)]);
}

function tableFor(what: string, address: string): string {
  return `${what}_${address.replaceAll(".", "_")}`;
}
