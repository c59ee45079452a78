/** Config values that stay text: names, paths of files, headers. */
import { type ParsedValue, plainText, text, textOr, wrong } from "./values.ts";

export function routeName() {
  return plainText("a route name", "1 to 64 of letters, digits, _ and -", /^[A-Za-z0-9_-]{1,64}$/);
}

/** How hashes begin: the name of a scheme between two $, as in crypt(5), or SHA-1 as in LDAP (RFC 2307). */
const HASH = /\$[a-z0-9-]{1,16}\$|\{S?SHA\}/i;
const NO_PATH = "holds a password hash, not a path; put it into a file and write the path of that";

/** The path of a file. A hash in place of its file's path gets a message that does not show it, so no log holds it. */
export function filePath() {
  const usual = wrong("a file path", "the path of a file");
  const isHash = (input: unknown) => typeof input === "string" && HASH.test(input);
  return textOr(
    /^[ -~\u00a0-\uffff]{1,4096}$/,
    { error: (issue) => (isHash(issue.input) ? NO_PATH : usual.error(issue)) },
    (value): ParsedValue<string> => (isHash(value) ? { refused: NO_PATH } : { value }),
  );
}

/** The value of X-Forwarded-Uri: path and query. */
export function requestUri() {
  const write = "a path that begins with /, up to 2048 visible ASCII characters";
  return plainText("a request URI", write, /^\/[!-~]{0,2047}$/);
}

/** Printable ASCII that needs no escaping inside the quotes of a challenge (RFC 9110, 11.5). */
export function realm() {
  const write = 'up to 128 printable ASCII characters without " and \\';
  return plainText("a realm", write, /^[\x20\x21\x23-\x5b\x5d-\x7e]{1,128}$/);
}

// Framing, hop-by-hop and our own headers would break the reply or forge its meaning if they were identity headers.
const RESERVED: ReadonlySet<string> = new Set([
  "age",
  "cache-control",
  "connection",
  "content-encoding",
  "content-length",
  "content-range",
  "content-type",
  "cookie",
  "date",
  "expires",
  "host",
  "keep-alive",
  "location",
  "proxy-authenticate",
  "proxy-authentication-info",
  "proxy-authorization",
  "proxy-connection",
  "retry-after",
  "set-cookie",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
  "vary",
  "www-authenticate",
  "x-auth-fallback",
]);

/** A header name that gateways keep: letters, digits and "-". Aliases such as X_User are used for spoofing. */
export function identityHeader(refused: readonly string[] = []) {
  const pattern = /^[A-Za-z0-9-]{1,64}$/;
  return text("a header name", "1 to 64 of letters, digits and -", pattern, (value): ParsedValue<string> => {
    const name = value.toLowerCase();
    if (!RESERVED.has(name) && !refused.includes(name)) return { value };
    return { refused: "{value} has a meaning of its own in HTTP; name a header that carries the identity" };
  });
}

/** The name of a header that an upstream sends. */
export function answerHeader() {
  return plainText("a header name", "1 to 64 of letters, digits and -", /^[A-Za-z0-9-]{1,64}$/);
}

/** ASCII only, because that reads the same in every coding of a body. */
export function bodyPart() {
  return plainText("a part of a body", "1 to 256 printable ASCII characters", /^[ -~]{1,256}$/);
}

/** The begin of a URL, or of a path on the client's host. */
export function locationPrefix() {
  const write = "how it begins, as in https://auth.example.com/, up to 2048 visible ASCII characters";
  return plainText("the begin of a Location", write, /^(?:https?:\/\/|\/)[!-~]{0,2040}$/);
}

/** A token (RFC 6265, 4.1.1). */
export function cookiePrefix() {
  const write = "1 to 128 characters that cookie names may hold, as in authelia_session";
  return plainText("the begin of a cookie's name", write, /^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,128}$/);
}
