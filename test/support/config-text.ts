/** Helpers for tests that write config text: they tell what is wrong with it, or what checks see of it. */
import * as z from "zod/mini";
import { type LoadResult, parseConfig } from "../../src/config/load.ts";
import { formatProblem } from "../../src/config/problem.ts";
import type { BasicAuthFallback, HostPolicy, Route, Snapshot } from "../../src/core/snapshot.ts";

type Env = Readonly<Record<string, string | undefined>>;

export async function noFiles(file: string): Promise<Uint8Array> {
  throw new Error(`read ${file}`);
}

export async function problemsOf(text: string, env: Env = {}): Promise<string[]> {
  const parsed = await parseConfig(text, "c.yaml", env, noFiles);
  return parsed.ok ? [] : parsed.problems.map(formatProblem);
}

export function good(result: LoadResult) {
  if (!result.ok) throw new Error(result.problems.map(formatProblem).join("\n"));
  return result;
}

export async function snapshotOf(text: string, env: Env = {}): Promise<Snapshot> {
  return good(await parseConfig(text, "/conf/c.yaml", env, noFiles)).snapshot;
}

export function loginOf(holder: Route | HostPolicy | undefined): BasicAuthFallback {
  if (holder?.fallback.mode !== "basic-auth") throw new Error("no emergency login");
  return holder.fallback;
}

export const oneRoute = (keys: string) => `routes: [{ upstream: "http://host", ${keys} }]`;

export const DENY = "fallback: { mode: deny }";
export const hostKeys = (...hosts: string[]) => `hosts: [${hosts.map((keys) => `{ ${keys} }`).join(", ")}]`;

export async function hostsOf(route: string, ...hosts: string[]): Promise<readonly HostPolicy[]> {
  return (await firstRoute(`${route}, ${hostKeys(...hosts)}`)).hosts;
}

export async function firstRoute(keys: string, env: Env = {}): Promise<Route> {
  const { routes } = await snapshotOf(`routes: [{ upstream: "http://host:9000", ${keys} }]`, env);
  const [route] = routes;
  if (route === undefined) throw new Error("no route");
  return route;
}

/** Returns the value that a schema makes of `input`, or the messages it refuses it with, each once. */
export function judged(
  schema: z.core.$ZodType,
  input: unknown,
): { readonly value: unknown } | { readonly refused: readonly string[] } {
  const reading = z.safeParse(schema, input);
  return reading.success
    ? { value: reading.data }
    : { refused: [...new Set(reading.error.issues.map(({ message }) => message))] };
}
