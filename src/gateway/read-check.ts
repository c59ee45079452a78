/** Makes a check of a parsed request. Node lets more pass than may be a check. */
import type { IncomingMessage } from "node:http";
import { firstHeader, headerValues } from "../core/headers.ts";
import type { Check } from "../core/types.ts";
import { hasBody } from "../http/has-body.ts";

/** Origin form (RFC 9112 section 3.2.1), without a fragment, a space or a control character. */
const ORIGIN_FORM = /^\/[\x21\x22\x24-\x7e\x80-\xff]*$/;

/**
 * `target` is taken as received. Returns null for what is no check, such as one with two Host headers: gateway and
 * upstream might each believe another one.
 */
export function readCheck(request: IncomingMessage, target: string): Check | null {
  // Node's parser still accepts the versions 0.9 and 2.0.
  if (request.httpVersionMajor !== 1) return null;
  if (!ORIGIN_FORM.test(target)) return null;
  if (headerValues(request.rawHeaders, "host").length > 1) return null;
  if (!isCodingPlain(request)) return null;
  const query = target.indexOf("?");
  return {
    method: request.method ?? "GET",
    target,
    path: query === -1 ? target : target.slice(0, query),
    headers: request.rawHeaders,
    hasAuthorization: firstHeader(request.rawHeaders, "authorization") !== null,
    hasCookie: firstHeader(request.rawHeaders, "cookie") !== null,
    body: hasBody(request) ? request.iterator({ destroyOnReturn: false }) : null,
    // Nothing else writes to it.
    hold: () => {},
    release: () => {},
  };
}

/**
 * Whether the coding is chunked alone, and not in HTTP/1.0 (RFC 9112 section 6.1). Node's parser undoes chunks and no
 * other coding, and the upstream would not learn of what is left.
 */
function isCodingPlain({ headers, httpVersionMinor }: IncomingMessage): boolean {
  const coding = headers["transfer-encoding"];
  return coding === undefined || (httpVersionMinor === 1 && coding.toLowerCase() === "chunked");
}
