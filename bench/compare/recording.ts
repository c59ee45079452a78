/**
 * Measures what counting and logging cost a check: `record.answer` and `record.check` on compiled code. The argument
 * names the recorder: `none` does nothing, and any other name is the real one with this `log.access`. It prints a
 * `DecisionFigures[]` as JSON. Each recorder has a process of its own, so that none influences how another is compiled.
 */
import type { Decision } from "../../src/core/types.ts";
import type { Recorder } from "../../src/observe/recorder.ts";
import { ANSWER, CHECK, compiled, newRecorder, newRoute } from "./compiled.ts";
import { paceOf } from "./pace.ts";
import { type DecisionFigures, RECORDERS } from "./results.ts";

const which = RECORDERS.find((name) => name === process.argv[2]);
if (which === undefined) throw new Error(`there are the recorders ${RECORDERS.join(", ")}`);
const { relayed }: typeof import("../../src/core/replies.ts") = await compiled("core/replies.js");
const route = await newRoute();
const recorder: Pick<Recorder, "answer" | "check"> =
  which === "none" ? { answer: () => {}, check: () => {} } : await newRecorder(route, which);
const decision: Decision = { source: "upstream", verdict: "allow", reply: relayed(ANSWER), fallback: null };
const now = (): number => performance.now();

const pace = paceOf(() => {
  // The clock is always read, so that only the recorders differ.
  const begin = now();
  recorder.answer(route, ANSWER.status, now() - begin);
  recorder.check(route, CHECK, decision, now() - begin);
  return decision.reply.status;
});
const what = which === "none" ? "a recorder that does nothing" : `counted, log.access ${which}`;
const figures: readonly DecisionFigures[] = [{ what: `the upstream's 200 recorded: ${what}`, ...pace }];
console.log(JSON.stringify(figures));
