import t from "tap";
import { AnswerAssembly } from "../../src/upstream/answer-assembly.ts";
import { upstreamAt } from "../support/raw-upstream.ts";

const KIB = 1_024;
const ignore = (): void => {};

t.test("what comes of the pieces", async (t) => {
  const rows = [
    { name: "nothing", sizes: [], is: [] },
    { name: "one", sizes: [2], is: ["more"] },
    { name: "just 64 KiB", sizes: [32 * KIB, 32 * KIB], is: ["more", "more"] },
    { name: "one byte more counts", sizes: [64 * KIB, 1], is: ["more", "counts"] },
    { name: "too much", sizes: [100 * KIB + 1], is: ["too_large"] },
    { name: "too much at last", sizes: [50 * KIB, 51 * KIB], is: ["more", "too_large"] },
  ];
  for (const { name, sizes, is } of rows) {
    const assembly = new AnswerAssembly(upstreamAt(9, { answerBytes: 100 * KIB }));
    t.same(
      sizes.map((size) => assembly.add(Buffer.alloc(size))),
      is,
      name,
    );
  }
});

t.test("a whole body", async (t) => {
  for (const pieces of [[], ["a"], ["a", "bc", "d"]]) {
    const assembly = new AnswerAssembly(upstreamAt(9));
    for (const piece of pieces) assembly.add(Buffer.from(piece));
    const body = assembly.end();
    t.equal(body?.kind === "whole" && Buffer.from(body.bytes).toString(), pieces.join(""));
    t.equal(assembly.breakOff({ kind: "overload" }), false, "there is no stream");
  }
});

t.test("a stream has all that came before it, and an end of its own", async (t) => {
  const assembly = new AnswerAssembly(upstreamAt(9, { answerBytes: null }));
  for (const letter of ["a", "b", "c"]) assembly.add(Buffer.alloc(30 * KIB, letter));
  const body = assembly.stream(ignore, ignore);
  t.equal(assembly.add(Buffer.from("d")), "full", "it is more than the stream takes before it is read");
  t.equal(assembly.end(), null);
  let text = "";
  if (body.kind === "stream") for await (const chunk of body.chunks) text += Buffer.from(chunk).toString();
  t.equal(text, `${"a".repeat(30 * KIB)}${"b".repeat(30 * KIB)}${"c".repeat(30 * KIB)}d`);
});

t.test("a stream that breaks off says whether the upstream caused it", async (t) => {
  const rows = [
    { outcome: { kind: "failure", reason: "reset" }, ended: "reset" },
    { outcome: { kind: "overload" }, ended: null },
  ] as const;
  for (const { outcome, ended } of rows) {
    const assembly = new AnswerAssembly(upstreamAt(9));
    assembly.add(Buffer.alloc(65 * KIB));
    const body = assembly.stream(ignore, ignore);
    t.equal(assembly.breakOff(outcome), true);
    t.equal(body.kind === "stream" && (await body.ended), ended);
  }
});
