import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import t, { type Test } from "tap";
import type { BasicAuthFallback, RateLimit } from "../../src/core/snapshot.ts";
import { createLogins } from "../../src/login/logins.ts";
import { createPasswordPool, type PasswordPool, type Verification } from "../../src/login/password-pool.ts";
import { missing } from "../support/programs.ts";

const MINUTE = 60_000;
const hashOf = (name: string) => `{SHA}${Buffer.alloc(20, name).toString("base64")}`;
const line = (name: string) => `${name}:${hashOf(name)}\n`;
const right = { user: "bob", password: "right" };
const wrong = (number = 0) => ({ user: "bob", password: `wrong ${number}` });

async function until(condition: () => boolean): Promise<void> {
  const deadline = performance.now() + 10_000;
  while (!condition()) {
    if (performance.now() > deadline) throw new Error("waited 10 s in vain");
    await sleep(2);
  }
}

/** A pool in which only the password "right" is good, for any hash. `hold` keeps its answers back. */
function standInPool() {
  const asked: { password: string; hash: string }[] = [];
  let gate: Promise<void> = Promise.resolve();
  let forced: Verification | null = null;
  const pool: PasswordPool = {
    verify: async (password, hash) => {
      asked.push({ password, hash });
      await gate;
      return forced ?? (password === "right" ? "good" : "bad");
    },
    close: async () => {},
  };
  return {
    pool,
    asked,
    hold: () => {
      const { promise, resolve } = Promise.withResolvers<void>();
      gate = promise;
      return resolve;
    },
    force: (verification: Verification | null) => {
      forced = verification;
    },
  };
}

async function scene(t: Test, text: string, rateLimit: Partial<RateLimit> = {}) {
  const file = join(t.testdir({ htpasswd: text }), "htpasswd");
  const clock = { now: 1000 };
  const standIn = standInPool();
  const logins = createLogins({
    now: () => clock.now,
    randomBytes,
    pool: standIn.pool,
    report: () => {},
    inTime: (_file, work) => work(),
    fileInterval: 5,
  });
  t.teardown(logins.close);
  await logins.use([file]);
  const policy: BasicAuthFallback = {
    mode: "basic-auth",
    realm: "Emergency",
    htpasswd: file,
    usernameHeader: "X-User",
    clearHeaders: [],
    allowFrom: null,
    rateLimit: { failures: 3, per: MINUTE, global: 20, ...rateLimit },
    grace: null,
    page: null,
  };
  const login = (credentials: { user: string; password: string } | null, address = "a", route = "route") =>
    logins.attempt(route, policy, credentials, address);
  return { logins, login, clock, file, policy, ...standIn };
}

const OK = { kind: "ok", user: "bob" };
const BAD = { kind: "bad" };

t.test("the plain cases", async (t) => {
  const { logins, login, file } = await scene(t, line("bob") + line("eve"), { failures: 9 });
  t.same(await login(null), { kind: "missing" });
  t.same(await login(right), OK);
  t.same(await login(wrong()), BAD);
  t.same(await login({ user: "nobody", password: "right" }), BAD);
  t.same(await login({ user: "", password: "right" }), BAD);
  t.same(await login({ user: "__proto__", password: "right" }), BAD);
  t.equal(logins.users(file), 2);
  t.ok(logins.knows("bob"));
  t.notOk(logins.knows("nobody"));
  t.equal(logins.users("/another"), 0);
});

t.test("without users it is forbidden, whatever was sent", async (t) => {
  const { login, asked, file } = await scene(t, "# nobody\n");
  t.same(await login(null), { kind: "forbidden", why: "no_users" });
  t.same(await login(right), { kind: "forbidden", why: "no_users" });
  rmSync(file);
  t.same(await login(right), { kind: "forbidden", why: "no_users" });
  t.equal(asked.length, 0);
});

t.test("a good pair is remembered for 5 minutes after its last use", async (t) => {
  const { login, asked, clock } = await scene(t, line("bob"));
  await login(right);
  for (let use = 0; use < 10; use++) {
    clock.now += 4 * MINUTE;
    t.same(await login(right), OK);
  }
  t.equal(asked.length, 1);
  clock.now += 5 * MINUTE;
  t.same(await login(right), OK);
  t.equal(asked.length, 2);
});

t.test("only the very pair is remembered", async (t) => {
  const { login, asked } = await scene(t, line("bob") + line("bobr"));
  await login(right);
  t.same(await login({ user: "bobr", password: "ight" }), BAD);
  t.same(await login({ user: "bo", password: "bright" }), BAD);
  t.same(await login({ user: "bob", password: "right " }), BAD);
  t.equal(asked.length, 4);
});

t.test("a bad pair is not remembered", async (t) => {
  const { login, asked } = await scene(t, line("bob"));
  await login(wrong());
  await login(wrong());
  t.equal(asked.length, 2);
});

t.test("a pair is forgotten when the file changes", async (t) => {
  const { logins, login, asked, file, force } = await scene(t, line("bob"));
  await login(right);
  writeFileSync(file, line("bob") + line("eve"));
  await until(() => logins.users(file) === 2);
  force("bad");
  t.same(await login(right), BAD);
  t.equal(asked.length, 2);
  force(null);
  writeFileSync(file, line("eve"));
  await until(() => logins.users(file) === 1);
  t.same(await login(right), BAD);
});

t.test("a login that was verified against an older file is not let in", async (t) => {
  const { logins, login, file, hold } = await scene(t, line("bob"));
  const release = hold();
  const late = login(right);
  writeFileSync(file, line("eve"));
  await until(() => logins.knows("eve"));
  release();
  t.same(await late, { kind: "limited", retryAfterSeconds: 1 });
  t.same(await login(right), BAD);
});

t.test("a page that asks thirty times costs one verification and one failure", async (t) => {
  const { login, asked } = await scene(t, line("bob"), { failures: 2 });
  const page = (credentials: { user: string; password: string }) =>
    Promise.all(Array.from({ length: 30 }, () => login(credentials)));
  t.same(await page(wrong()), Array(30).fill(BAD));
  t.same(await page(right), Array(30).fill(OK));
  t.equal(asked.length, 2);
  t.same(await login(wrong()), BAD);
  t.match(await login(wrong()), { kind: "limited" });
});

t.test("the same pair from elsewhere counts elsewhere", async (t) => {
  const { login, asked } = await scene(t, line("bob"), { failures: 1 });
  await Promise.all([login(wrong(), "a"), login(wrong(), "b")]);
  t.equal(asked.length, 2);
  t.match(await login(wrong(), "a"), { kind: "limited" });
  t.match(await login(wrong(), "b"), { kind: "limited" });
});

t.test("too many failures from an address are limited, a success is not counted", async (t) => {
  const { login, clock } = await scene(t, line("bob"));
  for (let number = 0; number < 3; number++) t.same(await login(wrong(number)), BAD);
  clock.now += 20_500;
  t.same(await login(wrong(9)), { kind: "limited", retryAfterSeconds: 40 });
  t.same(
    await login(right),
    { kind: "limited", retryAfterSeconds: 40 },
    "even a right one: it was not verified",
  );
  t.same(await login(right, "b"), OK);
  clock.now += MINUTE;
  t.same(await login(right), OK);
});

t.test("regression: a host of the route with a shorter time forgives nobody at the others", async (t) => {
  const { logins, login, policy, clock } = await scene(t, line("bob"), { per: 60 * MINUTE });
  for (let number = 0; number < 3; number++) t.same(await login(wrong(number)), BAD);
  clock.now += 2_000;
  const brief = { ...policy, rateLimit: { ...policy.rateLimit, per: 1_000 } };
  t.same(await logins.attempt("route", brief, wrong(4), "a"), BAD);
  t.match(await login(wrong(5)), { kind: "limited" });
});

t.test(
  "twenty people behind one address log in at once: nobody is limited for what did not fail",
  async (t) => {
    const people = Array.from({ length: 20 }, (_, index) => `user${index}`);
    const { login } = await scene(t, people.map(line).join(""));
    const results = await Promise.all(people.map((user) => login({ user, password: "right" })));
    t.same(
      results,
      people.map((user) => ({ kind: "ok", user })),
    );
  },
);

t.test("a thousand guesses at once: as many are verified as may fail", async (t) => {
  const { login, asked } = await scene(t, line("bob"));
  const results = await Promise.all(Array.from({ length: 1000 }, (_, number) => login(wrong(number))));
  t.equal(asked.length, 3);
  t.equal(results.filter(({ kind }) => kind === "limited").length, 997);
});

t.test("many addresses at once: as many are verified as may fail in all", async (t) => {
  const { login, asked } = await scene(t, line("bob"));
  await Promise.all(Array.from({ length: 1000 }, (_, number) => login(wrong(number), `a${number}`)));
  t.equal(asked.length, 20);
});

t.test("an attacker who uses up every limit does not lock out an admin at work", async (t) => {
  const { login, clock } = await scene(t, line("bob"));
  await login(right, "admin");
  for (let number = 0; number < 5000; number++) await login(wrong(number), `a${number % 100}`);
  for (let number = 0; number < 50; number++) await login(wrong(number), "admin");
  t.match(await login(wrong(), "admin"), { kind: "limited" });
  clock.now += 4 * MINUTE;
  for (let number = 0; number < 5000; number++) await login(wrong(number), `a${number % 100}`);
  t.same(await login(right, "admin"), OK);
});

t.test("an admin at work may change the address, though both addresses and all are limited", async (t) => {
  const { login } = await scene(t, line("bob"));
  await login(right, "admin");
  for (let number = 0; number < 60; number++) await login(wrong(number), `a${number % 10}`);
  t.match(await login(wrong(), "phone"), { kind: "limited" });
  t.same(await login(right, "phone"), OK);
});

t.test("regression: what is remembered is no oracle for the limited", async (t) => {
  const { login } = await scene(t, line("bob"));
  await login(right, "admin");
  for (let number = 0; number < 33; number++) await login(wrong(number), "guesser");
  t.match(
    await login(right, "guesser"),
    { kind: "limited" },
    "the guess is good, but comes after ten times too many",
  );
  t.same(await login(right, "admin"), OK);
});

t.test("limits belong to a route", async (t) => {
  const { login } = await scene(t, line("bob"), { failures: 1 });
  await login(wrong(), "a", "one");
  t.match(await login(wrong(), "a", "one"), { kind: "limited" });
  t.same(await login(wrong(), "a", "two"), BAD);
});

t.test("a full queue is asked again in a second, and is no failure", async (t) => {
  const { login, force } = await scene(t, line("bob"), { failures: 1 });
  force("busy");
  t.same(await login(wrong()), { kind: "limited", retryAfterSeconds: 1 });
  force(null);
  t.same(await login(right), OK);
});

t.test("a worker that died lets nobody in, and counts", async (t) => {
  const { login, force } = await scene(t, line("bob"), { failures: 2 });
  force("failed");
  t.same(await login(right), { kind: "limited", retryAfterSeconds: 1 });
  t.same(await login(right), { kind: "limited", retryAfterSeconds: 1 });
  force(null);
  t.match(await login(right), { kind: "limited", retryAfterSeconds: 60 });
});

t.test("an unknown name is verified against some hash of the file, always the same", async (t) => {
  const names = ["bob", "eve", "ann"];
  const { login, asked } = await scene(t, names.map(line).join(""), { failures: 1000, global: 1000 });
  const hashes = new Set(names.map(hashOf));
  const seen = new Set<string>();
  for (let number = 0; number < 100; number++) {
    t.same(await login({ user: `ghost${number}`, password: "right" }), BAD);
    t.same(await login({ user: `ghost${number}`, password: "wrong" }), BAD);
    const [one, other] = asked.slice(-2);
    t.equal(one?.hash, other?.hash);
    seen.add(one?.hash ?? "");
  }
  t.equal(asked.length, 200, "each costs a verification, the good-looking ones as well");
  t.same(seen, hashes, "each hash stands in for some name");
  await login(right);
  t.equal(asked.at(-1)?.hash, hashOf("bob"));
});

t.test("with the htpasswd program and real workers", { skip: missing("htpasswd") }, async (t) => {
  const args = ["-n", "-b", "-B", "-C", "6", "jürgen", "pä:ss €"];
  const { file, policy } = await scene(t, execFileSync("htpasswd", args, { encoding: "utf8" }));
  const pool = createPasswordPool({ size: 1 });
  const alive = setInterval(() => {}, 1000);
  const logins = createLogins({
    now: () => performance.now(),
    randomBytes,
    pool,
    report: () => {},
    inTime: (_file, work) => work(),
  });
  t.teardown(async () => {
    clearInterval(alive);
    logins.close();
    await pool.close();
  });
  await logins.use([file]);
  const login = (user: string, password: string) => logins.attempt("route", policy, { user, password }, "a");
  t.same(await login("jürgen", "pä:ss €"), { kind: "ok", user: "jürgen" });
  t.same(await login("jürgen", "pä:ss"), BAD);
  t.same(await login("jurgen", "pä:ss €"), BAD);
});
