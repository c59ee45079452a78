import t from "tap";
import { headerFindings, requestHeaders } from "../../src/config/request-headers.ts";
import { firstRoute, judged, oneRoute, problemsOf } from "../support/config-text.ts";

t.test("a probe takes up to 32 headers", async (t) => {
  const headers = (count: number) => Array.from({ length: count }, (_, index) => `X-${index}: a`).join(", ");
  const { probe } = await firstRoute(`preset: authentik, probe: { headers: { ${headers(32)} } }`);
  t.equal(probe.headers.length, 64);
  t.match(await problemsOf(oneRoute(`preset: authentik, probe: { headers: { ${headers(33)} } }`)), [
    /probe\.headers: holds 33 headers; at most 32$/,
  ]);
});

t.test("a probe's header may come from the environment, and is not shown when it is no good", async (t) => {
  const keys = `preset: authentik, probe: { headers: { Authorization: 'Bearer \${TOKEN}' } }`;
  t.same((await firstRoute(keys, { TOKEN: "secret" })).probe.headers, ["Authorization", "Bearer secret"]);
  const [problem = ""] = await problemsOf(oneRoute(keys), { TOKEN: "secret\n" });
  t.match(problem, /probe\.headers\.Authorization: not a header value/);
  t.notMatch(problem, /secret/);
});

const VALUE = /^not a header value/;

const valueRows = [
  { name: "nothing", value: "", isGood: true },
  { name: "one character", value: "!", isGood: true },
  { name: "a blank inside", value: "Bearer a", isGood: true },
  { name: "Latin-1", value: "caf\u00e9 \u00ff", isGood: true },
  { name: "the longest", value: "a".repeat(4096), isGood: true },
  { name: "a longer one", value: "a".repeat(4097), isGood: false },
  { name: "a blank first", value: " a", isGood: false },
  { name: "a blank last", value: "a ", isGood: false },
  { name: "only a blank", value: " ", isGood: false },
  { name: "a blank of Latin-1 last", value: "a\u00a0", isGood: false },
  { name: "a tab", value: "a\tb", isGood: false },
  { name: "a header after it", value: "a\r\nX-Admin: 1", isGood: false },
  { name: "a line feed last, as files have it", value: "a\n", isGood: false },
  { name: "NUL", value: "a\0b", isGood: false },
  { name: "DEL", value: "a\u007fb", isGood: false },
  { name: "a C1 control", value: "a\u0085b", isGood: false },
  { name: "beyond Latin-1", value: "\u20ac", isGood: false },
  { name: "a character that ends in a line feed's byte", value: "\u010a", isGood: false },
  { name: "a number", value: 5, isGood: false },
  { name: "null", value: null, isGood: false },
];
for (const { name, value, isGood } of valueRows) {
  t.test(`a header's value: ${name}`, async (t) => {
    const reading = judged(requestHeaders(), { "X-A": value });
    if (isGood) t.strictSame(reading, { value: ["X-A", value] });
    else t.match(reading, { refused: [VALUE] }, "and the value is not in the message");
  });
}

t.test("headers keep their order and spelling; what is no mapping is refused", async (t) => {
  t.strictSame(judged(requestHeaders(), { b: "1", A: "2" }), { value: ["b", "1", "A", "2"] });
  for (const raw of ["A: b", ["A"], 5, null]) t.match(judged(requestHeaders(), raw), { refused: [String] });
});

const owner = { what: "a probe", host: "probe.host" };
const CONNECTION = "belongs to the connection, not to a probe; leave it out";
const NAME = "not a header name; write 1 to 64 of letters, digits and -";
const nameRows = [
  { name: "an ordinary one", names: ["Authorization", "x-1", "a".repeat(64)], messages: [] },
  {
    name: "no name",
    names: ["", "X_A", "X A", "X:", "é", "__proto__", "a".repeat(65)],
    messages: Array(7).fill(NAME),
  },
  { name: "Host", names: ["hOsT"], messages: ["belongs to probe.host; write it there"] },
  {
    name: "framing, by which one request would become two",
    names: [
      "Content-Length",
      "transfer-encoding",
      "Connection",
      "TE",
      "Expect",
      "Keep-Alive",
      "Trailer",
      "Upgrade",
    ],
    messages: Array(8).fill(CONNECTION),
  },
  {
    name: "the same in other spellings",
    names: ["X-A", "x-a", "X-a"],
    messages: Array(2).fill("given twice, in another spelling; keep one"),
  },
];
for (const { name, names, messages } of nameRows) {
  t.test(`a header's name: ${name}`, async (t) => {
    const raw = Object.create(null);
    for (const one of names) raw[one] = "hunter2";
    const findings = headerFindings(raw, ["probe", "headers"], owner);
    t.same(
      findings.map(({ message }) => message),
      messages,
    );
    t.ok(findings.every(({ path, at }) => at === "key" && names.includes(String(path[2]))));
  });
}

t.test("too many headers are one finding; what is no mapping has none here", async (t) => {
  const raw = Object.fromEntries(Array.from({ length: 33 }, (_, index) => [`X ${index}`, ""]));
  t.match(headerFindings(raw, ["headers"], owner), [
    { path: ["headers"], message: "holds 33 headers; at most 32" },
  ]);
  for (const other of [null, undefined, "X-A: b", ["X A"]]) t.same(headerFindings(other, [], owner), []);
});
