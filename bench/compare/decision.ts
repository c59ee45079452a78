/**
 * The decision path alone, on compiled code: classify, record, and the reply, without any reading or writing. Prints
 * `DecisionFigures[]` as JSON. A process of its own, so that nothing else has shaped what its compiler knows.
 */
import type { Route } from "../../src/core/snapshot.ts";
import type { Answer, Check, Decision } from "../../src/core/types.ts";
import type { DecisionFigures } from "./results.ts";
import { spreadOf } from "./statistics.ts";
import { PATH } from "./subjects.ts";
import { headersOf, PLAIN } from "./wrk.ts";

const ROUNDS = 7;
const CHECKS = 200_000;
const NANOS_PER_MS = 1e6;
const DIST = new URL("../../dist/", import.meta.url);

type Core = typeof import("../../src/core/classify.ts") &
  typeof import("../../src/core/fallback.ts") &
  typeof import("../../src/core/replies.ts");

const { classify, loginFallback, opensLoginBox, relayed }: Core = {
  ...(await compiled("core/classify.js")),
  ...(await compiled("core/fallback.js")),
  ...(await compiled("core/replies.js")),
};
const { createLogger }: typeof import("../../src/observe/logs.ts") = await compiled("observe/logs.js");
const { createMetrics }: typeof import("../../src/observe/metrics.ts") = await compiled("observe/metrics.js");
const { createRecorder }: typeof import("../../src/observe/recorder.ts") =
  await compiled("observe/recorder.js");
const { parseConfig }: typeof import("../../src/config/load.ts") = await compiled("config/load.js");

const route = await someRoute();
const now = (): number => performance.now();
const metrics = createMetrics({
  version: "",
  node: "",
  inFlight: () => 0,
  connections: () => 0,
  htpasswdUsers: () => 1,
  now,
});
metrics.useRoutes([route]);
const recorder = createRecorder({
  metrics,
  logger: createLogger({ level: "info", write: () => {}, now: Date.now }),
  access: () => "sampled",
  clientOf: () => null,
  now,
  onActivity: () => {},
});
const check: Check = {
  method: "GET",
  target: PATH,
  path: PATH,
  headers: Object.entries(headersOf(PLAIN)).flat(),
  hasAuthorization: false,
  body: null,
  hold: () => {},
  release: () => {},
};
const answer: Answer = {
  status: 200,
  statusText: "OK",
  headers: identityHeaders(),
  body: { kind: "whole", bytes: new Uint8Array() },
};

const ways: readonly { readonly what: string; decide(): Decision }[] = [
  { what: "the upstream's 200: classify + record + relay", decide: passOn },
  { what: "a refused connection: classify + record + fallback", decide: fallBack },
];
const figures = ways.map(({ what, decide }): DecisionFigures => {
  nanosOf(decide);
  return { what, nanos: spreadOf(Array.from({ length: ROUNDS }, () => nanosOf(decide))) };
});
console.log(JSON.stringify(figures));

function nanosOf(decide: () => Decision): number {
  let statuses = 0;
  const begin = now();
  for (let turn = 0; turn < CHECKS; turn += 1) statuses += decide().reply.status;
  const took = now() - begin;
  // What nobody uses, the compiler may leave out.
  if (statuses === 0) throw new Error("nothing was decided");
  return (took * NANOS_PER_MS) / CHECKS;
}

function passOn(): Decision {
  const begin = now();
  recorder.answer(route, answer.status, now() - begin);
  const verdict = classify({ kind: "answer", answer }, route.fault);
  if (verdict.kind !== "allow") throw new Error(`a 200 is classified as ${verdict.kind}`);
  const reply = relayed(verdict.answer);
  const decision: Decision = { source: "upstream", verdict: "allow", reply, fallback: null };
  recorder.check(route, check, decision, now() - begin);
  return decision;
}

function fallBack(): Decision {
  const begin = now();
  const verdict = classify({ kind: "failure", reason: "refused" }, route.fault);
  if (verdict.kind !== "fault") throw new Error(`a failure is classified as ${verdict.kind}`);
  if (route.fallback.mode !== "basic-auth") throw new Error(`the fallback is ${route.fallback.mode}`);
  recorder.fault(route, verdict.reason);
  const withBox = opensLoginBox(check.headers);
  const decision = loginFallback(route.fallback, verdict.reason, { kind: "missing" }, withBox);
  recorder.check(route, check, decision, now() - begin);
  return decision;
}

async function someRoute(): Promise<Route> {
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

function identityHeaders(): readonly string[] {
  const identity = ["username", "groups", "email", "name", "uid", "entitlements"];
  return [
    ...["Server", "nginx", "Date", "Sat, 18 Apr 2026 10:00:00 GMT"],
    ...["Content-Type", "text/plain", "Content-Length", "0", "Connection", "keep-alive"],
    ...identity.flatMap((name) => [`X-authentik-${name}`, "of the demo user"]),
  ];
}

/** Of the last `npm run build`. */
function compiled<Module>(file: string): Promise<Module> {
  return import(new URL(file, DIST).href);
}
