import t from "tap";
import {
  configDuration,
  duration,
  list,
  oneOf,
  optional,
  plainText,
  section,
  size,
  text,
  wholeNumber,
  yesOrNo,
} from "../../src/config/values.ts";
import { judged } from "../support/config-text.ts";

const DURATION = "{value} is out of bounds; write a duration from 100ms to 1h";
const NO_DURATION = "{value} is not a duration; write a number and ms, s, m or h, as in 3s";
const SIZE = "{value} is out of bounds; write a size from 1KiB to 1MiB";
const NO_SIZE = "{value} is not a size; write a whole number and B, KiB, MiB or GiB, as in 64KiB";
const OUT = "{value} is not in bounds; write a whole number from 1 to 9";
const NO_NUMBER = "{value} is not a whole number; write one from 1 to 9";
const NOT_KNOWN = "{value} is not known here; write one of allow, deny";

const values = {
  duration: duration("100ms", "1h"),
  size: size("1KiB", "1MiB"),
  "whole number": wholeNumber(1, 9),
  choice: oneOf(["allow", "deny"]),
  "yes or no": yesOrNo(),
  list: list(yesOrNo(), "[true]", 2),
};

const taken = [
  { kind: "duration", input: "100ms", value: 100 },
  { kind: "duration", input: "0.1s", value: 100 },
  { kind: "duration", input: "60m", value: 3_600_000 },
  { kind: "size", input: 1024, value: 1024 },
  { kind: "size", input: "1KiB", value: 1024 },
  { kind: "size", input: "0001MiB", value: 1_048_576 },
  { kind: "size", input: "1048576B", value: 1_048_576 },
  { kind: "whole number", input: 1, value: 1 },
  { kind: "whole number", input: 9, value: 9 },
  { kind: "choice", input: "deny", value: "deny" },
  { kind: "yes or no", input: false, value: false },
  { kind: "list", input: [], value: [] },
  { kind: "list", input: [true, false], value: [true, false] },
] as const;
for (const { kind, input, value } of taken) {
  t.test(`${kind}: ${JSON.stringify(input)}`, async (t) =>
    t.strictSame(judged(values[kind], input), { value }),
  );
}

const refused = [
  { kind: "duration", inputs: ["99ms", "3601s", "999999999h", "0s"], message: DURATION },
  { kind: "duration", inputs: [100, "100", "1 h", "", null, ["1s"], true], message: NO_DURATION },
  { kind: "size", inputs: [1023, 1_048_577, "2MiB", "999999999999GiB", "0B", 0], message: SIZE },
  {
    kind: "size",
    inputs: ["64kib", "64KB", "64 KiB", "1.5MiB", "64", -1, 1.5, NaN, Infinity, null, true],
    message: NO_SIZE,
  },
  { kind: "whole number", inputs: [0, 10, -1], message: OUT },
  { kind: "whole number", inputs: ["5", 1.5, NaN, -Infinity, null, true, [5]], message: NO_NUMBER },
  {
    kind: "choice",
    inputs: ["Allow", "allow ", "", "__proto__", "toString", null, ["allow"]],
    message: NOT_KNOWN,
  },
  {
    kind: "yes or no",
    inputs: ["true", "yes", 1, 0, null],
    message: "{value} is not true or false; write true or false",
  },
  {
    kind: "list",
    inputs: ["true", null, { 0: true }, "a text longer than two"],
    message: "{value} is not a list; write a list, as in [true]",
  },
  { kind: "list", inputs: [[true, true, true]], message: "a list this long is refused; at most 2 entries" },
] as const;
for (const { kind, inputs, message } of refused) {
  t.test(`${kind}: ${message}`, async (t) => {
    for (const input of inputs)
      t.same(judged(values[kind], input), { refused: [message] }, JSON.stringify(input));
  });
}

t.test("what is missing is told so, and what to write", async (t) => {
  t.same(judged(wholeNumber(1, 9), undefined), { refused: ["missing; write one from 1 to 9"] });
  t.same(judged(values.duration, undefined), {
    refused: ["missing; write a number and ms, s, m or h, as in 3s"],
  });
});

t.test(
  "a section takes no other key, whatever its name means to JavaScript, and fills in defaults",
  async (t) => {
    const wanted = section({ wait: optional(duration("1s", "1m"), "5s", "A wait.") });
    t.same(judged(wanted, {}), { value: { wait: 5_000 } });
    t.same(judged(wanted, Object.create(null)), { value: { wait: 5_000 } });
    const notMapping = "{value} is not a mapping; write keys under it: wait";
    for (const key of ["other", "__proto__", "constructor", "Wait"]) {
      const raw = Object.defineProperty({}, key, { value: 1, enumerable: true });
      t.match(judged(wanted, raw), { refused: [String] }, key);
    }
    for (const raw of [null, [], "5s", 5])
      t.same(judged(wanted, raw), { refused: [notMapping] }, JSON.stringify(raw));
    t.match(judged(wanted, { wait: null }), { refused: [NO_DURATION] }, "an empty value is no default");
  },
);

t.test("text is read only when it looks right, and what reading refuses is told in its words", async (t) => {
  const read: string[] = [];
  const even = text("even", "an even digit", /^\d$/, (written) => {
    read.push(written);
    return Number(written) % 2 === 0 ? { value: Number(written) } : { refused: "odd" };
  });
  t.same(judged(even, "4"), { value: 4 });
  t.same(judged(even, "5"), { refused: ["odd"] });
  t.same(judged(even, "44"), { refused: ["{value} is not even; write an even digit"] });
  t.same(read, ["4", "5"]);
  t.same(judged(plainText("plain", "it", /^a$/), "a\n"), { refused: ["{value} is not plain; write it"] });
});

const written = [
  { milliseconds: 100, text: "100ms" },
  { milliseconds: 1_500, text: "1500ms" },
  { milliseconds: 15_000, text: "15s" },
  { milliseconds: 90_000, text: "90s" },
  { milliseconds: 120_000, text: "2m" },
  { milliseconds: 3_600_000, text: "60m" },
];
for (const { milliseconds, text } of written) {
  t.test(`${milliseconds} ms are written ${text}, which reads the same`, async (t) => {
    t.equal(configDuration(milliseconds), text);
    t.same(judged(values.duration, text), { value: milliseconds });
  });
}
