import t from "tap";
import { asList, asMapping, isMapping } from "../../src/config/plain-data.ts";

const BARE = Object.assign(Object.create(null), { a: 1 });

const rows = [
  { name: "a mapping", data: { a: 1 }, is: "a mapping" },
  { name: "a mapping without prototype, as documents hold them", data: BARE, is: "a mapping" },
  { name: "an empty list", data: [], is: "a list" },
  { name: "a list", data: [{ a: 1 }], is: "a list" },
  { name: "null", data: null, is: "neither" },
  { name: "nothing", data: undefined, is: "neither" },
  { name: "text, which has a length too", data: "a", is: "neither" },
  { name: "a number", data: 1, is: "neither" },
];
for (const { name, data, is } of rows) {
  t.test(name, async (t) => {
    t.equal(isMapping(data), is === "a mapping");
    if (is === "a mapping") t.equal(asMapping(data), data);
    else t.strictSame(asMapping(data), {});
    if (is === "a list") t.equal(asList(data), data);
    else t.strictSame(asList(data), []);
  });
}
