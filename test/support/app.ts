/** Starts sparekey in this process from the text of a config, on ports that the system chooses. */
import { request as httpRequest, type OutgoingHttpHeaders } from "node:http";
import type { Test } from "tap";
import { type App, startApp } from "../../src/app/app.ts";
import { parseConfig } from "../../src/config/load.ts";
import { formatProblem } from "../../src/config/problem.ts";
import { readBounded } from "../../src/config/read-file.ts";
import type { WireMode } from "../../src/core/snapshot.ts";
import { hasFastify } from "../../src/http/lazy-fastify.ts";
import { hasUndici } from "../../src/upstream/undici/undici-client.ts";

export interface Served {
  readonly app: App;
  /** `http://…` of each distinct `listen`, in the config's order. */
  readonly urls: readonly string[];
  /** Log lines so far. */
  readonly lines: readonly string[];
  metrics(): Promise<string>;
}

/** The `wire` of the test run's configs: by default that of a config without the key. */
const WIRE: WireMode = process.env.SPAREKEY_TEST_WIRE === "fastify" ? "fastify" : "auto";

// test/program/loading.test.ts shows the stall of loading them. It must not hit the short timeout of another test.
hasUndici();
hasFastify();

/** sparekey closes with the test. Routes with the same `listen` share a listener; 127.0.0.2:0 makes another one. */
export async function serve(t: Test, yaml: string, wire: WireMode = WIRE): Promise<Served> {
  const loaded = await parseConfig(yaml, "test.yaml", {}, readBounded);
  if (!loaded.ok) throw new Error(loaded.problems.map(formatProblem).join("\n"));
  const lines: string[] = [];
  const app = await startApp(
    { ...loaded.snapshot, wire },
    {
      writeLine: (line) => lines.push(line),
      reload: async () => ({ ok: false, problems: ["there is no file to read"] }),
    },
  );
  t.teardown(() => app.close());
  const urls = app.listeners.map(({ host, port }) => `http://${host}:${port}`);
  return {
    app,
    urls,
    lines,
    metrics: async () => (await ask(`http://${app.admin.host}:${app.admin.port}/metrics`)).text,
  };
}

export interface Answered {
  readonly status: number;
  /** Name, value, name, value …, as received. */
  readonly rawHeaders: readonly string[];
  /** Lower-case names. */
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly text: string;
}

export interface AskOptions {
  readonly method?: string;
  readonly headers?: OutgoingHttpHeaders;
  readonly body?: string;
}

/** Sends one request on a connection of its own. Rejects when the connection is cut. */
export function ask(url: string, options: AskOptions = {}): Promise<Answered> {
  const { method = "GET", headers = {}, body } = options;
  return new Promise((resolve, reject) => {
    const request = httpRequest(
      url,
      { method, headers, agent: false, maxHeaderSize: 512 * 1024 },
      (response) => {
        let text = "";
        response.setEncoding("utf8");
        response.on("data", (chunk: string) => {
          text += chunk;
        });
        response.on("error", reject);
        response.on("end", () => {
          const { statusCode = 0, rawHeaders } = response;
          resolve({ status: statusCode, rawHeaders, headers: response.headers, text });
        });
      },
    );
    request.on("error", reject);
    request.end(body);
  });
}

export function basic(user: string, password: string): string {
  return `Basic ${Buffer.from(`${user}:${password}`).toString("base64")}`;
}

/** The value of one series; NaN: there is no such series. */
export function sample(metrics: string, series: string): number {
  const line = metrics.split("\n").find((text) => text.startsWith(`${series} `));
  return line === undefined ? Number.NaN : Number(line.slice(series.length + 1));
}
