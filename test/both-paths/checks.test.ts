/** Both paths make the same of the same bytes; what may differ has a name and a reason in allowed-differences.ts. */
import t, { type Test } from "tap";
import { newRules } from "./allowed-differences.ts";
import { answers, singly, unheard } from "./answer-corpus.ts";
import { ANSWER_SCRIPTS, UNHEARD } from "./answer-scripts.ts";
import { type Case, type CheckPath, type Seen, startPath } from "./both-paths.ts";
import { bodies, cutShort, pipelines, singles, splits } from "./check-corpus.ts";
import { endings, mutants, oneByOne } from "./malformed-corpus.ts";

/** Talks at a time. */
const AT_ONCE = 24;
const RULES = newRules();

interface Pair {
  readonly each: Case;
  readonly here: Seen;
  readonly there: Seen;
}

// Thousands of talks: 20 s alone, several times that where other programs run beside them.
t.setTimeout(300_000);

t.test("single checks", (t) => areTheSame(t, singles(1_000, 1)));
t.test("several in one write", (t) => areTheSame(t, pipelines(300, 2)));
t.test("cut at every byte", (t) => areTheSame(t, splits()));
t.test("checks with bodies", (t) => areTheSame(t, bodies()));
t.test("every answer in every mode", (t) => areTheSame(t, answers(ANSWER_SCRIPTS)));
t.test("answers byte by byte", (t) => areTheSame(t, singly(ANSWER_SCRIPTS)));
t.test("an upstream that dies unheard is asked again", (t) => areTheSame(t, unheard(UNHEARD), 1));
t.test("cut short", (t) => areTheSame(t, cutShort()));
t.test("heads that were good once", (t) => areTheSameOneByOne(t, mutants(1_500, 3)));
t.test("what nothing can follow", (t) => areTheSameOneByOne(t, endings()));
t.test("every rule is needed", async (t) => t.same(RULES.unused(), []));

async function areTheSame(t: Test, cases: readonly Case[], atOnce = AT_ONCE): Promise<void> {
  const { pairs, wire, fastify } = await byBoth(t, cases, atOnce);
  const found = pairs.filter(({ each, here, there }) => !RULES.areSame(each, here, there));
  t.same(shown(found), [], `${found.length} of ${cases.length} differ`);
  t.same(await wire.counters(), await fastify.counters(), "both counted the same");
}

/** Those that differ in one write are the beginning of what both paths make of the same heads one by one. */
async function areTheSameOneByOne(t: Test, cases: readonly Case[]): Promise<void> {
  const { pairs } = await byBoth(t, cases, AT_ONCE);
  const differing = pairs.filter(({ each, here, there }) => !RULES.areSame(each, here, there));
  const patient = await byBoth(
    t,
    differing.map(({ each }) => oneByOne(each)),
    AT_ONCE,
  );
  const found = patient.pairs.filter(({ each, here, there }) => !RULES.areSame(each, here, there));
  t.same(shown(found), [], `${found.length} of ${differing.length} differ one by one`);
  const lax = differing.filter(({ here, there }, index) => {
    const whole = patient.pairs[index];
    if (whole === undefined || there.replies.length > here.replies.length) return true;
    return !RULES.isBeginning(here, whole.here) || !RULES.isBeginning(there, whole.there);
  });
  t.same(shown(lax), [], `${lax.length} of ${differing.length} are no beginning of it`);
}

interface ByBoth {
  readonly pairs: readonly Pair[];
  readonly wire: CheckPath;
  readonly fastify: CheckPath;
}

async function byBoth(t: Test, cases: readonly Case[], atOnce: number): Promise<ByBoth> {
  const wire = await startPath(t, "auto");
  const fastify = await startPath(t, "fastify");
  const here = await all(wire, cases, atOnce);
  const there = await all(fastify, cases, atOnce);
  t.same([wire.strays, fastify.strays], [[], []], "nothing else reached the upstreams");
  const pairs = cases.map((each, index) => ({
    each,
    here: here[index] ?? NONE,
    there: there[index] ?? NONE,
  }));
  return { pairs, wire, fastify };
}

const NONE: Seen = { asked: [], replies: [], rest: "", end: "late" };

async function all(path: CheckPath, cases: readonly Case[], atOnce: number): Promise<readonly Seen[]> {
  const talks = new Array<Awaited<ReturnType<CheckPath["talk"]>>>(cases.length);
  let next = 0;
  const lane = async (): Promise<void> => {
    for (let index = next++; index < cases.length; index = next++) {
      const each = cases[index];
      if (each) talks[index] = await path.talk(each);
    }
  };
  await Promise.all(Array.from({ length: atOnce }, lane));
  return cases.map((each, index) => {
    const talked = talks[index];
    return talked ? path.seen(each, talked) : NONE;
  });
}

function shown(found: readonly Pair[]): readonly object[] {
  return found.slice(0, 3).map(({ each, here, there }) => ({ name: each.name, here, there }));
}
