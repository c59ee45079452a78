/** Checks whose answers are what matters. */
import type { AnswerScript } from "./answer-scripts.ts";
import type { Case } from "./both-paths.ts";
import { lastStep, MODES, type Mode, PLAIN_ANSWER } from "./check-corpus.ts";

/** Those that are short, byte by byte. */
export function singly(scripts: readonly AnswerScript[]): readonly Case[] {
  return scripts
    .filter(({ bytes }) => bytes.length < 200)
    .map((answer, row) =>
      answered({ ...answer, singly: true }, `singly${row}`, MODES[row % 4] ?? "none", "GET"),
    );
}

/** Of a connection used before, each time. */
export function unheard(scripts: readonly AnswerScript[]): readonly Case[] {
  return answers(scripts).flatMap((each) => {
    const id = `before-${each.id}`;
    const steps = [{ pieces: [`GET /none/${id} HTTP/1.1\r\nHost: a\r\n\r\n`], methods: ["GET"] }];
    return [{ id, name: `before ${each.name}`, steps, answer: PLAIN_ANSWER }, each];
  });
}

/** Each answer to a check of each mode, by GET and by HEAD. */
export function answers(scripts: readonly AnswerScript[]): readonly Case[] {
  return scripts.flatMap((answer, row) =>
    MODES.flatMap((mode) =>
      ["GET", "HEAD"].map((method) => answered(answer, `answer${row}x${method}`, mode, method)),
    ),
  );
}

function answered(answer: AnswerScript, id: string, mode: Mode, method: string): Case {
  const path = `/${mode}/${id}x${mode}`;
  const lines = "Host: a\r\nCookie: b=c\r\nAuthorization: Bearer token";
  const text = `${method} ${path} HTTP/1.1\r\n${lines}\r\n\r\n`;
  const steps = [{ pieces: [text], methods: [method] }, lastStep(path)];
  return { id: `${id}x${mode}`, name: `${answer.name}, ${mode}, ${method}`, steps, answer };
}
