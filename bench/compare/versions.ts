/** The versions of the compared programs. */
import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";

const ROOT = join(import.meta.dirname, "../..");

/** Versions by name, without programs that are not installed. */
export async function versionsOf(): Promise<Readonly<Record<string, string>>> {
  const found: readonly (readonly [string, string | null])[] = [
    ["sparekey", await packageVersion("package.json")],
    ["node", process.versions.node],
    ["nginx", await said("nginx", ["-v"])],
    ["HAProxy", await said("haproxy", ["-v"])],
    ["Caddy", await said("caddy", ["version"])],
    ["@fastify/http-proxy", await packageVersion("node_modules/@fastify/http-proxy/package.json")],
    ["wrk", await said("wrk", ["-v"])],
  ];
  return Object.fromEntries(found.flatMap(([name, version]) => (version === null ? [] : [[name, version]])));
}

/** The first version number that a program prints. Some exit with 1 after that. */
async function said(program: string, args: readonly string[]): Promise<string | null> {
  const { stdout, stderr } = await promisify(execFile)(program, args).catch((error: unknown) => ({
    stdout: "",
    stderr: "",
    ...(error instanceof Error ? error : {}),
  }));
  return /\d+(\.\d+)+/.exec(`${stdout}${stderr}`)?.[0] ?? null;
}

async function packageVersion(file: string): Promise<string | null> {
  const text = await readFile(join(ROOT, file), "utf8").catch(() => null);
  return text === null ? null : JSON.parse(text).version;
}
