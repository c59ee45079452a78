/** The kinds of values of a config. Each has one message, which says what is wrong and what to write instead. */
import * as z from "zod/mini";
import { DURATION, readDuration } from "../core/duration.ts";

// Without jitless, zod compiles code at run time, which costs memory and is forbidden in hardened processes.
z.config({ jitless: true });

export type ParsedValue<T> = { readonly value: T } | { readonly refused: string };

interface Message {
  readonly error: (issue: { readonly input?: unknown }) => string;
}

/** The message for every way in which a value can be wrong. `{value}` becomes the value as written in the file. */
export function wrong(what: string, write: string): Message {
  return {
    error: (issue) =>
      issue.input === undefined ? `missing; write ${write}` : `{value} is not ${what}; write ${write}`,
  };
}

/** Text that `read` turns into a value. Editors check it against `pattern`. */
export function text<T>(
  what: string,
  write: string,
  pattern: RegExp,
  read: (text: string) => ParsedValue<T>,
) {
  return textOr(pattern, wrong(what, write), read);
}

/** Like `text`, for values with a message of their own. */
export function textOr<T>(pattern: RegExp, message: Message, read: (text: string) => ParsedValue<T>) {
  return z.pipe(
    z.string(message).check(z.regex(pattern, message)),
    z.transform((written: string, context): T => {
      const reading = read(written);
      if ("value" in reading) return reading.value;
      context.issues.push({ code: "custom", input: written, message: reading.refused });
      return z.NEVER;
    }),
  );
}

export function plainText(what: string, write: string, pattern: RegExp) {
  return text(what, write, pattern, (value) => ({ value }));
}

/** Milliseconds from `100ms`, `3s` or `1.5m`. The bounds are written the same way. */
export function duration(least: string, most: string) {
  const low = readDuration(least);
  const high = readDuration(most);
  return text(
    "a duration",
    "a number and ms, s, m or h, as in 3s",
    DURATION,
    (written): ParsedValue<number> => {
      const value = readDuration(written);
      if (value >= low && value <= high) return { value };
      return { refused: `{value} is out of bounds; write a duration from ${least} to ${most}` };
    },
  );
}

const BYTES: Readonly<Record<string, number>> = { B: 1, KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3 };
const SIZE = /^(\d{1,12})(B|KiB|MiB|GiB)$/;

/** A duration as people write it, in the largest unit that leaves a whole number. */
export function configDuration(milliseconds: number): string {
  if (milliseconds % 1000 !== 0) return `${milliseconds}ms`;
  const seconds = milliseconds / 1000;
  return seconds % 60 === 0 ? `${seconds / 60}m` : `${seconds}s`;
}

/** Bytes from `64KiB` or a bare number. The bounds are written the same way. */
export function size(least: string, most: string) {
  const low = readSize(least);
  const high = readSize(most);
  const message = wrong("a size", "a whole number and B, KiB, MiB or GiB, as in 64KiB");
  return z.pipe(
    z.union([z.string().check(z.regex(SIZE, message)), z.int(message).check(z.gte(0, message))], message),
    z.transform((written: string | number, context): number => {
      const value = typeof written === "number" ? written : readSize(written);
      if (value >= low && value <= high) return value;
      const refused = `{value} is out of bounds; write a size from ${least} to ${most}`;
      context.issues.push({ code: "custom", input: written, message: refused });
      return z.NEVER;
    }),
  );
}

function readSize(written: string): number {
  const [, number = "", unit = ""] = SIZE.exec(written) ?? [];
  return Number(number) * (BYTES[unit] ?? Number.NaN);
}

export function wholeNumber(least: number, most: number) {
  const message = wrong("in bounds", `a whole number from ${least} to ${most}`);
  const type = wrong("a whole number", `one from ${least} to ${most}`);
  return z.int(type).check(z.gte(least, message), z.lte(most, message));
}

export function oneOf<const T extends readonly string[]>(allowed: T) {
  return z.enum(allowed, wrong("known here", `one of ${allowed.join(", ")}`));
}

export function yesOrNo() {
  return z.boolean(wrong("true or false", "true or false"));
}

export function list<T extends z.core.$ZodType>(item: T, example: string, most = 1000) {
  const type = wrong("a list", `a list, as in ${example}`);
  const tooLong = {
    // A text has a length too.
    error: (issue: { readonly input?: unknown }) =>
      Array.isArray(issue.input) ? `a list this long is refused; at most ${most} entries` : type.error(issue),
  };
  return z.array(item, type).check(z.maxLength(most, tooLong));
}

export function section<T extends z.core.$ZodShape>(shape: T) {
  return z.strictObject(shape, wrong("a mapping", `keys under it: ${Object.keys(shape).join(", ")}`));
}

/** A key with a default. `preset`: the default, written as in the file. */
export function optional<T extends z.core.$ZodType>(schema: T, preset: z.core.input<T>, about: string) {
  return described(z.prefault(schema, preset as never), about);
}

/** A key that is null when it is left out. */
export function orNull<T extends z.core.$ZodType>(schema: T, about: string) {
  return described(z._default(z.nullable(schema), null), about);
}

/** Adds the description that editors show. */
export function described<T extends z.core.$ZodType>(schema: T, about: string): T {
  z.globalRegistry.add(schema, { description: about });
  return schema;
}
