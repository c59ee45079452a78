/** Compiled parts of sparekey, and a check for them, for benches without I/O. */
import type { LogOptions, Route } from "../../src/core/snapshot.ts";
import type { Answer, Check } from "../../src/core/types.ts";
import type { Recorder } from "../../src/observe/recorder.ts";
import { PATH } from "./subjects.ts";
import { headersOf, PLAIN } from "./wrk.ts";

const DIST = new URL("../../dist/", import.meta.url);

/** The folder that `npm run build` writes. */
export function compiled<Module>(file: string): Promise<Module> {
  return import(new URL(file, DIST).href);
}

export const CHECK: Check = {
  method: "GET",
  target: PATH,
  path: PATH,
  headers: Object.entries(headersOf(PLAIN)).flat(),
  hasAuthorization: false,
  hasCookie: false,
  body: null,
  hold: () => {},
  release: () => {},
};

export const ANSWER: Answer = {
  status: 200,
  statusText: "OK",
  headers: identityHeaders(),
  body: { kind: "whole", bytes: new Uint8Array() },
};

/** A route with an emergency login. */
export async function newRoute(): Promise<Route> {
  const { parseConfig }: typeof import("../../src/config/load.ts") = await compiled("config/load.js");
  const yaml = `
routes:
  - preset: authentik
    upstream: http://127.0.0.1:1
    fallback: { mode: basic-auth, htpasswd: htpasswd }
`;
  const noFile = (): never => {
    throw new Error("this config names no file to read");
  };
  const loaded = await parseConfig(yaml, "sparekey.yaml", {}, noFile);
  const first = loaded.ok ? loaded.snapshot.routes[0] : undefined;
  if (first === undefined) throw new Error(`this config is refused: ${JSON.stringify(loaded)}`);
  return first;
}

/** This recorder makes its log lines, but writes them nowhere. */
export async function newRecorder(route: Route, access: LogOptions["access"]): Promise<Recorder> {
  const { clientAddress }: typeof import("../../src/core/client-address.ts") =
    await compiled("core/client-address.js");
  const { createLogger }: typeof import("../../src/observe/log/logger.ts") =
    await compiled("observe/log/logger.js");
  const { createRouteRecords }: typeof import("../../src/observe/route-record.ts") =
    await compiled("observe/route-record.js");
  const { createRecorder }: typeof import("../../src/observe/recorder.ts") =
    await compiled("observe/recorder.js");
  const now = (): number => performance.now();
  const records = createRouteRecords();
  records.use([route]);
  return createRecorder({
    records,
    logger: createLogger({ level: "info", write: () => {}, now: Date.now }),
    access: () => access,
    clientOf: (check) => clientAddress(check, null),
    now,
    report: () => {},
  });
}

function identityHeaders(): readonly string[] {
  const identity = ["username", "groups", "email", "name", "uid", "entitlements"];
  return [
    ...["Server", "nginx", "Date", "Sat, 18 Apr 2026 10:00:00 GMT"],
    ...["Content-Type", "text/plain", "Content-Length", "0", "Connection", "keep-alive"],
    ...identity.flatMap((name) => [`X-authentik-${name}`, "of the demo user"]),
  ];
}
