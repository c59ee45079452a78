/** Heads by chance that are no good, and what ends a connection: each with good ones around it in the same write. */
import { draws } from "../support/draws.ts";
import type { Case } from "./both-paths.ts";
import { last, MODES, PLAIN_ANSWER, staying } from "./check-corpus.ts";

/** Behind the first of these in a row nothing can follow. */
const ENDINGS: readonly (readonly [name: string, text: (path: string) => string])[] = [
  ["the last", (path) => `GET ${path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`],
  ["an odd last one", (path) => `PUT ${path} HTTP/1.1\r\nHost:a\r\nConnection: x, close\r\n\r\n`],
  ["HTTP/1.0", (path) => `GET ${path} HTTP/1.0\r\nHost: a\r\n\r\n`],
  ["HTTP/2.0", (path) => `GET ${path} HTTP/2.0\r\nHost: a\r\n\r\n`],
  ["an upgrade", (path) => `GET ${path} HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n`],
  ["CONNECT", (path) => `CONNECT ${path} HTTP/1.1\r\nHost: a\r\n\r\n`],
  ["a byte beyond ASCII", (path) => `GET ${path}?\xe9 HTTP/1.1\r\nHost: a\r\n\r\n`],
  ["two lengths", (path) => `GET ${path} HTTP/1.1\r\nHost: a\r\n${"Content-Length: 0\r\n".repeat(2)}\r\n`],
  ["a folded line", (path) => `GET ${path} HTTP/1.1\r\nHost: a\r\nX: b\r\n c\r\n\r\n`],
  ["too large", (path) => `GET ${path} HTTP/1.1\r\nHost: a\r\nX: ${"x".repeat(33_000)}\r\n\r\n`],
];

/** Good checks, an ending and another good one, in one write. */
export function endings(): readonly Case[] {
  return ENDINGS.flatMap(([name, ending], row) =>
    MODES.flatMap((mode) =>
      [0, 1, 3].map((before) => {
        const id = `ending${row}x${mode}x${before}`;
        const path = `/${mode}/${id}`;
        const good = (at: number): string => `GET ${path}.${at} HTTP/1.1\r\nHost: a\r\n\r\n`;
        const front = Array.from({ length: before }, (_, at) => good(at)).join("");
        const steps = [{ pieces: [front + ending(`${path}.ending`) + good(before)], methods: null }];
        return { id, name: `${name}, behind ${before}`, steps, methods: [], answer: PLAIN_ANSWER };
      }),
    ),
  );
}

const ODD_BYTES: readonly [string, ...string[]] = [
  ...'\r\n\0 \t:,;#?/\x01\x7f\x80\xff"(){}GH01',
  "\r\n",
  "\n\n",
  "\r\r",
  "\r\n ",
  "\r\n\t",
  "\r\n\r\n",
  "\r\n: x\r\n",
  "\r\nHost: b\r\n",
  "HTTP/1.1",
] as unknown as [string, ...string[]];

/** Heads that were good once, each with a good one behind it in the same write. */
export function mutants(count: number, seed: number): readonly Case[] {
  const draw = draws(seed);
  return Array.from({ length: count }, (_, index) => {
    const id = `mutant${index}`;
    const path = `/${draw.pick(MODES)}/${id}`;
    const good = staying(draw, path, draw.chance(0.3));
    let text = good.text.replace(/c{1000,}/, "c");
    for (let times = 1 + draw.below(2); times > 0; times -= 1) {
      // The id must stay.
      const at = draw.chance(0.1) ? draw.below(good.method.length) : text.indexOf(id) + id.length;
      const behind = at < good.method.length ? at : at + draw.below(text.length - at);
      text = text.slice(0, behind) + draw.pick(ODD_BYTES) + text.slice(behind + draw.below(3));
    }
    // Node closes behind a head without a Host; whether what follows it still reached the upstream would be chance.
    const hasHost = /\r\nhost:/i.test(text.slice(0, text.indexOf("\r\n\r\n")));
    const pieces = [hasHost ? text + last(path).text : text];
    const steps = [{ pieces, methods: null, ...(!hasHost && { ends: true as const }) }];
    return { id, name: text, steps, methods: [good.method], answer: PLAIN_ANSWER };
  });
}

/** The heads of a case that is one write, each written when the reply to the one before has come. */
export function oneByOne(each: Case): Case {
  const text = each.steps[0]?.pieces[0] ?? "";
  const heads = text.match(/(?:\r\n)*[\s\S]*?\r\n\r\n|[\s\S]+$/g) ?? [];
  const steps = heads.map((head, index) => ({
    pieces: [head],
    methods: index === heads.length - 1 ? null : [/^HEAD /.test(head) ? "HEAD" : "GET"],
  }));
  return { ...each, steps };
}
