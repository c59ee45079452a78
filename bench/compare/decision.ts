/**
 * Measures the decision alone, on compiled code: classify, record and reply, without I/O. It prints `DecisionFigures[]`
 * as JSON. It has a process of its own, so that no other code influences how this code is compiled.
 */
import type { Decision } from "../../src/core/types.ts";
import { ANSWER, CHECK, compiled, newRecorder, newRoute } from "./compiled.ts";
import { paceOf } from "./pace.ts";
import type { DecisionFigures } from "./results.ts";

type Core = typeof import("../../src/core/classify.ts") &
  typeof import("../../src/core/fallback.ts") &
  typeof import("../../src/core/replies.ts");

const { classify, loginFallback, opensLoginBox, relayed }: Core = {
  ...(await compiled("core/classify.js")),
  ...(await compiled("core/fallback.js")),
  ...(await compiled("core/replies.js")),
};

const route = await newRoute();
const recorder = await newRecorder(route, "sampled");
const NO_HOST = (): boolean => false;
const now = (): number => performance.now();

const ways: readonly { readonly what: string; decide(): Decision }[] = [
  { what: "the upstream's 200: classify + record + relay", decide: passOn },
  { what: "a refused connection: classify + record + fallback", decide: fallBack },
];
const figures = ways.map(
  ({ what, decide }): DecisionFigures => ({ what, ...paceOf(() => decide().reply.status) }),
);
console.log(JSON.stringify(figures));

function passOn(): Decision {
  const begin = now();
  recorder.answer(route, ANSWER.status, now() - begin);
  const verdict = classify({ kind: "answer", answer: ANSWER }, route.fault, NO_HOST);
  if (verdict.kind !== "allow") throw new Error(`a 200 is classified as ${verdict.kind}`);
  const reply = relayed(verdict.answer);
  const decision: Decision = { source: "upstream", verdict: "allow", reply, fallback: null };
  recorder.check(route, CHECK, decision, now() - begin);
  return decision;
}

function fallBack(): Decision {
  const begin = now();
  const verdict = classify({ kind: "failure", reason: "refused" }, route.fault, NO_HOST);
  if (verdict.kind !== "fault") throw new Error(`a failure is classified as ${verdict.kind}`);
  if (route.fallback.mode !== "basic-auth") throw new Error(`the fallback is ${route.fallback.mode}`);
  recorder.fault(route, verdict.reason);
  const withBox = opensLoginBox(CHECK.headers);
  const decision = loginFallback(route.fallback, verdict.reason, { kind: "missing" }, withBox);
  recorder.check(route, CHECK, decision, now() - begin);
  return decision;
}
