/** Both carriers make the same of the same bytes; where not, the difference has a name and a reason here. */
import t, { type Test } from "tap";
import { type Carrier, type Case, carrier, type Seen } from "./both-carriers.ts";
import { cutShort, mutants, pipelines, singles, splits } from "./check-corpus.ts";

/** Talks at a time. */
const AT_ONCE = 24;

async function compare(t: Test, cases: readonly Case[]): Promise<void> {
  const wire = await carrier(t, "auto");
  const fastify = await carrier(t, "fastify");
  const [mine, theirs] = [await all(wire, cases), await all(fastify, cases)];
  const odd = cases.flatMap((each, index) => {
    const [here, there] = [mine[index], theirs[index]];
    if (JSON.stringify(here) === JSON.stringify(there)) return [];
    return [{ name: each.name, here, there }];
  });
  t.equal(odd.length, 0);
  t.same(odd.slice(0, Number(process.env.N ?? 3)), []);
  t.same([wire.strays, fastify.strays], [[], []], "nothing else reached the upstreams");
  t.same(await wire.counters(), await fastify.counters(), "both counted the same");
}

async function all(carrier: Carrier, cases: readonly Case[]): Promise<readonly Seen[]> {
  const talks = new Array<Awaited<ReturnType<Carrier["talk"]>>>(cases.length);
  let next = 0;
  const lane = async (): Promise<void> => {
    for (let index = next++; index < cases.length; index = next++) {
      const each = cases[index];
      if (each) talks[index] = await carrier.talk(each);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, lane));
  return cases.flatMap((each, index) => {
    const talked = talks[index];
    return talked ? [carrier.seen(each, talked)] : [];
  });
}

t.test("single checks", (t) => compare(t, singles(1_500, 1)));
t.test("several in one write", (t) => compare(t, pipelines(500, 2)));
t.test("cut at every byte", (t) => compare(t, splits()));
t.test("cut short", (t) => compare(t, cutShort()));
t.test("heads that were good once", (t) => compare(t, mutants(1_500, 3)));
