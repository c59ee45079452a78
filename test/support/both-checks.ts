/** The same check for either path. */
import type { Check } from "../../src/core/types.ts";
import { newRequestHead, readRequestHead } from "../../src/wire/request-head.ts";
import { WireCheck } from "../../src/wire/wire-check.ts";
import { check } from "./fixtures.ts";

/** A check that goes in bytes. */
export function wireCheck(headers: readonly string[]): Check {
  const lines = headers.flatMap((name, at) => (at % 2 === 0 ? [`${name}: ${headers[at + 1]}\r\n`] : []));
  const bytes = Buffer.from(`GET /auth HTTP/1.1\r\n${lines.join("")}\r\n`, "latin1");
  const head = newRequestHead();
  if (!readRequestHead(bytes, 0, bytes.length, 1_000, head)) throw new Error(`not plain: ${bytes}`);
  return new WireCheck(bytes, head);
}

/** `isFast`: in bytes. Otherwise by undici. */
export function checkOf(isFast: boolean, headers: readonly string[]): Check {
  return isFast ? wireCheck(headers) : check({ headers });
}
