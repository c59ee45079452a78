/**
 * Reads names and passwords in Authorization headers (RFC 7617). All code uses this one reader, so no spelling can
 * mean different things in two places.
 */
import type { Credentials, RawHeaders } from "./types.ts";

/** Far longer than any good name and password. Longer values are not worth decoding on every check. */
const MAX_LENGTH = 4096;
const BASIC = /^[ \t]*basic[ \t]+([A-Za-z0-9+/]+)(={0,2})[ \t]*$/i;
const CONTROL = /\p{Cc}/u;

/**
 * The name and password of a check's Authorization header; null: there is none, or it holds no basic credentials.
 * Two such headers count as none, because another program may read the other one and see another user.
 */
export function credentialsFrom(headers: RawHeaders): Credentials | null {
  let found: string | null = null;
  for (let at = 0; at + 1 < headers.length; at += 2) {
    if (headers[at]?.toLowerCase() !== "authorization") continue;
    if (found !== null) return null;
    found = headers[at + 1] ?? "";
  }
  return found === null ? null : basicCredentials(found);
}

/** The name in the value of an Authorization header; null: it holds no basic credentials. */
export function basicUserOf(value: string): string | null {
  return basicCredentials(value)?.user ?? null;
}

function basicCredentials(value: string): Credentials | null {
  const bytes = basicBytes(value);
  if (bytes === null) return null;
  const text = utf8Of(bytes) ?? bytes;
  const colon = text.indexOf(":");
  if (colon === -1 || CONTROL.test(text)) return null;
  return { user: text.slice(0, colon), password: text.slice(colon + 1) };
}

/** The decoded base64, one char per byte. Padding may be missing, but not wrong. */
function basicBytes(value: string): string | null {
  if (value.length > MAX_LENGTH) return null;
  const [, digits = "", padding = ""] = BASIC.exec(value) ?? [];
  const rest = digits.length % 4;
  if (digits === "" || rest === 1) return null;
  if (padding !== "" && (rest + padding.length) % 4 !== 0) return null;
  return atob(digits);
}

/** null: the bytes are not UTF-8. A byte order mark is kept, so that it cannot hide in front of a name. */
function utf8Of(bytes: string): string | null {
  const array = Uint8Array.from(bytes, (char) => char.charCodeAt(0));
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(array);
  } catch {
    return null;
  }
}
