import type { LookupAddress } from "node:dns";
import t from "tap";
import { createResolver, oneByOne } from "../../src/upstream/resolver.ts";

const ONE: LookupAddress[] = [{ address: "192.0.2.1", family: 4 }];
const TWO: LookupAddress[] = [
  { address: "192.0.2.2", family: 4 },
  { address: "2001:db8::2", family: 6 },
];

function scene() {
  const clock = { now: 1_000 };
  const lookups: ((error: Error | null, addresses: LookupAddress[]) => void)[] = [];
  const lookup = createResolver(
    () => clock.now,
    (_name, done) => lookups.push(done),
  );
  const resolve = (name = "outpost") =>
    new Promise<LookupAddress[] | string>((settle) => {
      lookup(name, { all: true }, (error, addresses) => {
        settle(error ? error.message : (addresses as LookupAddress[]));
      });
    });
  const settled = () => new Promise((done) => setImmediate(done));
  return { clock, lookups, lookup, resolve, settled };
}

t.test("a flood of connections is one lookup", async (t) => {
  const { lookups, resolve, settled } = scene();
  const all = Array.from({ length: 500 }, () => resolve());
  await settled();
  t.equal(lookups.length, 1);
  lookups[0]?.(null, TWO);
  for (const addresses of await Promise.all(all)) t.same(addresses, TWO);
});

t.test("names are apart", async (t) => {
  const { lookups, resolve, settled } = scene();
  const [a, b] = [resolve("a"), resolve("b")];
  await settled();
  lookups[0]?.(null, ONE);
  lookups[1]?.(null, TWO);
  t.same([await a, await b], [ONE, TWO]);
});

t.test("addresses are kept for 5 s, then used on while they are looked up again", async (t) => {
  const { clock, lookups, resolve, settled } = scene();
  const first = resolve();
  await settled();
  lookups[0]?.(null, ONE);
  await first;
  clock.now += 5_000;
  t.same(await resolve(), ONE);
  t.equal(lookups.length, 1);
  clock.now += 1;
  t.same(await resolve(), ONE, "nobody waits for the second lookup");
  t.same(await resolve(), ONE);
  t.equal(lookups.length, 2);
  lookups[1]?.(null, TWO);
  await settled();
  t.same(await resolve(), TWO);
});

t.test(
  "addresses older than a minute are looked up first, but a silent name server is not waited for",
  async (t) => {
    const { clock, lookups, resolve, settled } = scene();
    const first = resolve();
    await settled();
    lookups[0]?.(null, ONE);
    await first;
    clock.now += 60_001;
    const moved = resolve();
    await settled();
    lookups[1]?.(null, TWO);
    t.same(await moved, TWO);
    clock.now += 60_001;
    t.same(await resolve(), TWO);
  },
);

t.test("known addresses outlive a name server", async (t) => {
  const { clock, lookups, resolve, settled } = scene();
  const first = resolve();
  await settled();
  lookups[0]?.(null, ONE);
  await first;
  for (let day = 0; day < 3; day += 1) {
    clock.now += 86_400_000;
    const asked = resolve();
    await settled();
    lookups.at(-1)?.(new Error("EAI_AGAIN"), []);
    t.same(await asked, ONE);
  }
});

t.test("a name never resolved fails, and is asked for again the next time", async (t) => {
  const { lookups, resolve, settled } = scene();
  for (const answer of [new Error("ENOTFOUND"), null]) {
    const asked = resolve();
    await settled();
    lookups.at(-1)?.(answer, []);
    t.equal(await asked, answer === null ? "no address" : "ENOTFOUND");
  }
  const asked = resolve();
  await settled();
  lookups.at(-1)?.(null, ONE);
  t.same(await asked, ONE);
});

t.test("one address where one is asked for", async (t) => {
  const { lookup, lookups, settled } = scene();
  const asked = new Promise((settle) => {
    lookup("outpost", {}, (_error, address, family) => settle([address, family]));
  });
  await settled();
  lookups[0]?.(null, TWO);
  t.same(await asked, ["192.0.2.2", 4]);
});

t.test("one by one: names whose server hangs take one thread together", async (t) => {
  const begun: string[] = [];
  const lookups: ((error: Error | null, addresses: LookupAddress[]) => void)[] = [];
  const lookUp = oneByOne((name, done) => {
    begun.push(name);
    lookups.push(done);
  });
  const lookup = createResolver(() => 0, lookUp);
  const resolve = (name: string) =>
    new Promise<unknown>((settle) => {
      lookup(name, { all: true }, (error, addresses) => settle(error ? error.message : addresses));
    });
  const settled = () => new Promise((done) => setImmediate(done));
  const [a, b, c] = [resolve("a"), resolve("b"), resolve("c")];
  await settled();
  t.same(begun, ["a"]);
  lookups[0]?.(new Error("no server"), []);
  t.equal(await a, "no server");
  await settled();
  t.same(begun, ["a", "b"]);
  lookups[1]?.(null, ONE);
  t.same(await b, ONE);
  await settled();
  lookups[2]?.(null, TWO);
  t.same(await c, TWO);
});
