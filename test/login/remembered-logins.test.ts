import t from "tap";
import { createRememberedLogins } from "../../src/login/remembered-logins.ts";

const MINUTE = 60_000;

t.test("a digest is remembered for 5 minutes after its last use", async (t) => {
  let now = 0;
  const remembered = createRememberedLogins(() => now);
  t.notOk(remembered.has("a"));
  remembered.add("a");
  now += 5 * MINUTE - 1;
  t.ok(remembered.has("a"));
  remembered.add("a");
  now += 5 * MINUTE - 1;
  t.ok(remembered.has("a"));
  now += 1;
  t.notOk(remembered.has("a"));
});

t.test("a full memory drops the digest that was used longest ago", async (t) => {
  const remembered = createRememberedLogins(() => 0);
  for (let index = 0; index < 2048; index += 1) remembered.add(`${index}`);
  remembered.add("0");
  remembered.add("new");
  t.ok(remembered.has("0"));
  t.notOk(remembered.has("1"));
  t.ok(remembered.has("2"));
});
