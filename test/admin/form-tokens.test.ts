import t from "tap";
import { createFormTokens } from "../../src/admin/form-tokens.ts";

t.test("a token is one person's, of this process, for half a day", async (t) => {
  let now = 5_000;
  const tokens = createFormTokens(() => now);
  const token = tokens.make("root");
  t.ok(tokens.isGood(token, "root"));
  t.notOk(tokens.isGood(token, "eve"));
  t.notOk(createFormTokens(() => now).isGood(token, "root"));
  t.notOk(tokens.isGood(`${token}.`.slice(1), "root"));
  now += 12 * 3_600_000 - 1;
  t.ok(tokens.isGood(token, "root"));
  now += 1;
  t.notOk(tokens.isGood(token, "root"));
});
