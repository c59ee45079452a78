import t from "tap";
import { quantileText } from "../../src/admin/card.ts";

t.test("latency is said as the bound it is", async (t) => {
  t.equal(quantileText(null), "–");
  t.equal(quantileText({ atMost: 0.001 }), "≤ 1 ms");
  t.equal(quantileText({ atMost: 0.0025 }), "≤ 2.5 ms");
  t.equal(quantileText({ atMost: 2.5 }), "≤ 2.5 s");
  t.equal(quantileText({ moreThan: 10 }), "> 10 s");
});
