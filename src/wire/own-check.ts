/** Makes a check in bytes of a request of our own, such as a probe. */
import type { RawHeaders, UpstreamRequest } from "../core/types.ts";
import { newRequestHead, type RequestHead, readRequestHead } from "./request-head.ts";
import { WireCheck } from "./wire-check.ts";

/** The header lines are few, and all of them come from us or from the config. */
const MAX_LINES = 1_000;
/** Otherwise one value could become several lines. */
const IN_ONE_LINE = /^[\t\x20-\x7e\x80-\xff]*$/;

/** Returns null for a request that cannot go out as it stands. The slow path decides on it. */
export function ownCheck({ method, target, headers, body }: UpstreamRequest): WireCheck | null {
  if (body !== null || ![target, ...headers].every((text) => IN_ONE_LINE.test(text))) return null;
  const bytes = Buffer.from(`${method} ${target} HTTP/1.1\r\n${linesOf(headers)}\r\n`, "latin1");
  const head: RequestHead = newRequestHead();
  const isPlain = readRequestHead(bytes, 0, bytes.length, MAX_LINES, head);
  return isPlain && head.dropped.length === 0 ? new WireCheck(bytes, head) : null;
}

function linesOf(headers: RawHeaders): string {
  const lines: string[] = [];
  for (let i = 0; i < headers.length; i += 2) lines.push(`${headers[i]}: ${headers[i + 1]}\r\n`);
  return lines.join("");
}
