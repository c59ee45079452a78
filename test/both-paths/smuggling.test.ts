/** What one reader takes for another request than the next one does reaches no upstream, on either path. */
import t, { type Test } from "tap";
import type { WireMode } from "../../src/core/snapshot.ts";
import type { Step, Talked } from "../support/gateway-talk.ts";
import { asUndiciWrites } from "./allowed-differences.ts";
import { type Case, type Seen, startPath } from "./both-paths.ts";
import { PLAIN_ANSWER } from "./check-corpus.ts";
import { HARMLESS, type HarmlessRow } from "./harmless-rows.ts";
import { BROKEN_BODIES, CUT, type HeadRow, REFUSED } from "./smuggling-rows.ts";

const PLACES = ["first", "behind a good one", "pipelined behind a good one"] as const;
type Place = (typeof PLACES)[number];
const MODES = ["none", "deny"] as const;

interface Told {
  readonly place: Place;
  readonly wire: WireMode;
  readonly path: string;
  /** With the row and its place. */
  readonly name: string;
  readonly seen: Seen;
  /** The gateway closes its side behind it. */
  readonly ends: boolean;
  /** Statuses of the replies. */
  readonly statuses: string;
  /** Requests of the upstream but the good one in front. */
  readonly asked: readonly string[];
}

for (const wire of ["auto", "fastify"] as const) {
  t.test(`by wire: ${wire}`, async (t) => {
    await t.test("refused", (t) => each(t, wire, REFUSED, isRefused));
    await t.test("cut", (t) => each(t, wire, CUT, isCut));
    await t.test("broken bodies", (t) => each(t, wire, BROKEN_BODIES, isNeverWhole));
    await t.test("harmless", (t) => each(t, wire, HARMLESS, isPassed));
  });
}

async function each<Row extends HeadRow>(
  t: Test,
  wire: WireMode,
  rows: readonly Row[],
  holds: (t: Test, told: Told, row: Row) => void,
): Promise<void> {
  const carried = await startPath(t, wire);
  const talks: { readonly row: Row; readonly talk: Talk; readonly talked: Talked }[] = [];
  for (const [index, row] of rows.entries()) {
    const made = MODES.flatMap((mode) =>
      PLACES.map((place) => talkOf(row, `row${index}x${mode}`, mode, place)),
    );
    const talked = await Promise.all(made.map((talk) => carried.talk(talk)));
    made.forEach((talk, at) => {
      const done = talked[at];
      if (done) talks.push({ row, talk, talked: done });
    });
  }
  for (const { row, talk, talked } of talks) holds(t, told(wire, talk, carried.seen(talk, talked)), row);
  const stolen = { id: "stolen", name: "stolen", steps: [], answer: PLAIN_ANSWER };
  t.same(carried.seen(stolen, { received: "", end: "open" }).asked, [], "nothing was stolen");
  t.same(carried.strays, [], "nothing else reached the upstream");
}

interface Talk extends Case {
  readonly place: Place;
  readonly path: string;
  readonly ends: boolean;
}

function talkOf(row: HeadRow, prefix: string, mode: string, place: Place): Talk {
  const id = `${prefix}x${PLACES.indexOf(place)}`;
  const good = `/${mode}/${id}`;
  const path = `${good}.evil`;
  const odd = { pieces: [row.text(path)], methods: ["POST"], ...(row.ends && { ends: row.ends }) };
  const steps = stepsOf(`GET ${good} HTTP/1.1\r\nHost: a\r\n\r\n`, odd, place);
  const name = `${row.name}, ${mode}, ${place}`;
  return { id, name, steps, answer: PLAIN_ANSWER, place, path, ends: row.ends === true };
}

function told(wire: WireMode, { name, place, path, ends }: Talk, seen: Seen): Told {
  const statuses = seen.replies.map((reply) => reply.slice("HTTP/1.1 ".length, "HTTP/1.1 200".length)).join();
  const asked = seen.asked.filter((request) => `${request.split(" ")[1]}.evil` !== path);
  return { place, wire, path, name, seen, ends, statuses, asked };
}

function stepsOf(good: string, odd: Step, place: Place): readonly Step[] {
  if (place === "first") return [odd];
  if (place === "behind a good one") return [{ pieces: [good], methods: ["GET"] }, odd];
  return [{ ...odd, pieces: [good + odd.pieces.join("")], methods: ["GET", "POST"] }];
}

/** What may come of the good one in front, and then of the odd one: one of `own`, or no reply where that is empty. */
function expected(t: Test, { place, wire, name, statuses, seen, ends }: Told, own: readonly string[]): void {
  const fits = own.map((status) => (place === "first" ? status : status === "" ? "200" : `200,${status}`));
  // Fastify cuts the connection where the good one is not answered yet (allowed-differences.ts), and so does its end.
  if (place === "pipelined behind a good one" && (ends || wire === "fastify")) fits.push("");
  t.ok(fits.includes(statuses), `${name}: ${statuses}`);
  t.equal(seen.rest, "", `${name}: no byte more`);
  t.not(seen.end, "late", `${name}: in time`);
}

function isRefused(t: Test, told: Told): void {
  expected(t, told, ["400"]);
  t.same(told.asked, [], `${told.name}: the upstream saw none of it`);
}

function isCut(t: Test, told: Told): void {
  expected(t, told, [""]);
  t.same(told.asked, [], `${told.name}: the upstream saw none of it`);
}

/** Of a check, whose body stays behind, the head is all there is: it may have been asked and answered. */
function isNeverWhole(t: Test, told: Told): void {
  const isCheck = told.path.startsWith("/deny/");
  expected(t, told, isCheck ? ["", "200"] : [""]);
  const harmless = (request: string): boolean =>
    request.endsWith("…") || (isCheck && request === bodiless(told.path));
  t.same(
    told.asked.filter((request) => !harmless(request)),
    [],
    `${told.name}: none is whole`,
  );
}

function isPassed(t: Test, told: Told, row: HarmlessRow): void {
  expected(t, told, ["200"]);
  const request = row.asked(told.path);
  const staysBehind = told.path.startsWith("/deny/") && request.startsWith("POST ");
  const asked = told.asked.map((each) => (/\r\nconnection: /.test(each) ? each : asUndiciWrites(each)));
  t.same(asked, [staysBehind ? bodiless(told.path) : request], told.name);
}

function bodiless(path: string): string {
  return `POST ${path} HTTP/1.1\r\nhost: a\r\nconnection: keep-alive\r\ncontent-length: 0\r\n\r\n`;
}
