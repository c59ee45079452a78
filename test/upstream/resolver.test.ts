import type { LookupAddress } from "node:dns";
import t from "tap";
import { createResolver, oneByOne } from "../../src/upstream/resolver.ts";
import { finished, start } from "../support/processes.ts";

const ONE: LookupAddress[] = [{ address: "192.0.2.1", family: 4 }];
const TWO: LookupAddress[] = [
  { address: "192.0.2.2", family: 4 },
  { address: "2001:db8::2", family: 6 },
];
const ONE_TEXT = ["192.0.2.1"];
const TWO_TEXT = ["192.0.2.2", "2001:db8::2"];

type Done = (error: Error | null, addresses: LookupAddress[]) => void;

function scene() {
  const clock = { now: 1_000 };
  const lookups: Done[] = [];
  const resolver = createResolver(
    () => clock.now,
    (_name, done) => lookups.push(done),
  );
  /** The addresses, or the message of the error. */
  const resolve = (name = "outpost"): Promise<unknown> =>
    resolver(name).catch((error: unknown) => (error instanceof Error ? error.message : error));
  return { clock, lookups, resolve };
}

t.test("a flood of connections is one lookup", async (t) => {
  const { lookups, resolve } = scene();
  const all = Array.from({ length: 500 }, () => resolve());
  t.equal(lookups.length, 1);
  lookups[0]?.(null, TWO);
  for (const addresses of await Promise.all(all)) t.same(addresses, TWO_TEXT);
});

t.test("names are apart", async (t) => {
  const { lookups, resolve } = scene();
  const [a, b] = [resolve("a"), resolve("b")];
  lookups[0]?.(null, ONE);
  lookups[1]?.(null, TWO);
  t.same([await a, await b], [ONE_TEXT, TWO_TEXT]);
});

t.test("addresses serve all for 2 s from their arrival", async (t) => {
  const { clock, lookups, resolve } = scene();
  const first = resolve();
  clock.now += 30_000;
  const second = resolve();
  t.equal(lookups.length, 1, "a lookup on its way is shared, however long it takes");
  lookups[0]?.(null, ONE);
  t.same([await first, await second], [ONE_TEXT, ONE_TEXT]);
  clock.now += 1_999;
  t.same(await resolve(), ONE_TEXT);
  t.equal(lookups.length, 1);
  clock.now += 1;
  const third = resolve();
  t.equal(lookups.length, 2);
  lookups[1]?.(null, TWO);
  t.same(await third, TWO_TEXT);
});

t.test("a lookup that failed is not kept", async (t) => {
  const rows: readonly { name: string; error: Error | null; is: string }[] = [
    { name: "no such name", error: new Error("ENOTFOUND"), is: "ENOTFOUND" },
    { name: "no address", error: null, is: "no address" },
  ];
  for (const { name, error, is } of rows) {
    const { lookups, resolve } = scene();
    const failing = [resolve(), resolve()];
    lookups[0]?.(error, []);
    t.same(await Promise.all(failing), [is, is], name);
    const again = resolve();
    t.equal(lookups.length, 2, `${name}: it is asked for again`);
    lookups[1]?.(null, ONE);
    t.same(await again, ONE_TEXT, name);
  }
});

t.test("without a file descriptor left, a failure has the code of our own limit", async (t) => {
  const source = new URL("../../src/upstream/resolver.ts", import.meta.url).href;
  const script = `
    const { createResolver } = await import(${JSON.stringify(source)});
    const { openSync } = process.getBuiltinModule("node:fs");
    const resolve = createResolver(() => 0, (_name, done) => done(new Error("ENOTFOUND"), []));
    try { for (;;) openSync("/dev/null", "r"); } catch {}
    const error = await resolve("outpost").catch((error) => error);
    process.stdout.write(error.code);`;
  const limited = start(t, "bash", [
    "-c",
    'ulimit -n 64 && exec "$0" --input-type=module -e "$1"',
    process.execPath,
    script,
  ]);
  t.match(await finished(limited), { code: 0, stdout: "EMFILE" });
});

t.test("one by one: names whose server hangs take one thread together", async (t) => {
  const begun: string[] = [];
  const lookups: Done[] = [];
  const lookUp = oneByOne((name, done) => {
    begun.push(name);
    lookups.push(done);
  });
  const resolver = createResolver(() => 0, lookUp);
  const settled = () => new Promise((done) => setImmediate(done));
  const a = resolver("a").catch((error: unknown) => `${error}`);
  const [b, c] = [resolver("b"), resolver("c")];
  await settled();
  t.same(begun, ["a"]);
  lookups[0]?.(new Error("no server"), []);
  t.equal(await a, "Error: no server");
  await settled();
  t.same(begun, ["a", "b"]);
  lookups[1]?.(null, ONE);
  t.same(await b, ONE_TEXT);
  await settled();
  lookups[2]?.(null, TWO);
  t.same(await c, TWO_TEXT);
});
