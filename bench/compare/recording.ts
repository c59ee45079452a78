/**
 * What counting and logging cost a check: `record.answer` and `record.check` on compiled code, with the recorder that
 * is the argument: `none`, one that does nothing, or the real one with `log.access` as named. Prints a
 * `DecisionFigures[]` as JSON. A process for each, so that none has shaped what the compiler knows of another.
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
  // The clock is read either way: what is compared is the recorder alone.
  const begin = now();
  recorder.answer(route, ANSWER.status, now() - begin);
  recorder.check(route, CHECK, decision, now() - begin);
  return decision.reply.status;
});
const what = which === "none" ? "a recorder that does nothing" : `counted, log.access ${which}`;
const figures: readonly DecisionFigures[] = [{ what: `the upstream's 200 recorded: ${what}`, ...pace }];
console.log(JSON.stringify(figures));
