/**
 * Reads the text of htpasswd files, with hashes in the formats that Apache and nginx share. Any other hash is a problem
 * and never matches. No message shows a part of a hash, or of anything that may be a password.
 */
import type { HtpasswdProblem } from "../core/types.ts";

/** A longer file is a user directory and no list for emergencies. */
const MAX_USERS = 10_000;
/** The limit of the htpasswd program, in bytes of UTF-8. */
const MAX_NAME_BYTES = 255;
/** With costlier hashes, one login would keep a worker for many seconds. */
const BCRYPT_COSTS = { min: 4, max: 16 };
const SHA_CRYPT_ROUNDS = { min: 1000, max: 1_000_000, default: 5000 };

const CONTROL = /\p{Cc}/u;
const BCRYPT = /^\$2[aby]\$(\d\d)\$([./A-Za-z0-9]{22})([./A-Za-z0-9]{31})$/;
const APR1 = /^\$apr1\$([./A-Za-z0-9]{1,8})\$([./A-Za-z0-9]{22})$/;
const SHA_CRYPT =
  /^\$([56])\$(?:rounds=([1-9]\d{0,8})\$)?([./A-Za-z0-9]{1,16})\$([./A-Za-z0-9]{43}|[./A-Za-z0-9]{86})$/;
const LDAP_SHA = /^\{(SHA|SSHA)\}([A-Za-z0-9+/]+={0,2})$/;
const DES_LIKE = /^[./A-Za-z0-9]{13}$/;

const FORMATS = "bcrypt, $apr1$, {SHA}, {SSHA}, $5$ and $6$ can be used";

/** The parts of one hash. Salts and digests of the crypt formats stay in their own base64. */
export type PasswordHash =
  | { readonly kind: "bcrypt"; readonly cost: string; readonly salt: string; readonly digest: string }
  | { readonly kind: "apr1"; readonly salt: string; readonly digest: string }
  | { readonly kind: "sha1"; readonly salt: Uint8Array; readonly digest: Uint8Array }
  | {
      readonly kind: "sha-crypt";
      readonly algorithm: "sha256" | "sha512";
      readonly rounds: number;
      readonly salt: string;
      readonly digest: string;
    }
  | { readonly kind: "refused"; readonly problem: string };

interface Htpasswd {
  /** Hashes by name. `readHash` accepts each of them. */
  readonly users: ReadonlyMap<string, string>;
  readonly problems: readonly HtpasswdProblem[];
}

/** The users of an htpasswd file's text, and a problem for each line that cannot be used. `line` counts from 1. */
export function parseHtpasswd(text: string): Htpasswd {
  const users = new Map<string, string>();
  const problems: HtpasswdProblem[] = [];
  const lineOf = new Map<string, number>();
  for (const [index, raw] of text
    .replace(/^\uFEFF/, "")
    .split("\n")
    .entries()) {
    const line = index + 1;
    const entry = raw.replace(/^[ \t]+|[ \t\r]+$/g, "");
    if (entry === "" || entry.startsWith("#")) continue;
    if (users.size >= MAX_USERS) {
      problems.push({ line, message: `more than ${MAX_USERS} users; this line and the rest are ignored` });
      break;
    }
    const { name, hash, problem } = readEntry(entry, lineOf);
    // A name belongs to its first line even if that line is refused, so that no later line slips in unnoticed.
    if (name !== "" && !lineOf.has(name)) lineOf.set(name, line);
    if (problem === null) users.set(name, hash);
    else problems.push({ line, message: problem });
  }
  return { users, problems };
}

function readEntry(entry: string, lineOf: ReadonlyMap<string, number>) {
  const colon = entry.indexOf(":");
  if (colon === -1) return { name: "", hash: "", problem: "no colon; write NAME:HASH" };
  const name = entry.slice(0, colon);
  // No hash has a colon. Further fields are ignored, as in Apache and nginx.
  const hash = entry.slice(colon + 1).split(":", 1)[0] ?? "";
  return { name, hash, problem: nameProblem(name, lineOf.get(name)) ?? hashProblem(hash) };
}

function nameProblem(name: string, takenAt: number | undefined): string | null {
  if (name === "") return "the name before the colon is empty";
  if (CONTROL.test(name)) return "the name has control characters";
  if (name.includes("\uFFFD")) return "the name is not UTF-8";
  if (Buffer.byteLength(name) > MAX_NAME_BYTES) return `the name is longer than ${MAX_NAME_BYTES} bytes`;
  return takenAt === undefined ? null : `the same name as in line ${takenAt}; the first one counts`;
}

function hashProblem(hash: string): string | null {
  const read = readHash(hash);
  return read.kind === "refused" ? read.problem : null;
}

/** Takes one hash apart. `problem` says what is wrong without showing any of it. */
export function readHash(hash: string): PasswordHash {
  return readBcrypt(hash) ?? readApr1(hash) ?? readShaCrypt(hash) ?? readLdapSha(hash) ?? refuse(hash);
}

function readBcrypt(hash: string): PasswordHash | null {
  const [, cost = "", salt = "", digest = ""] = BCRYPT.exec(hash) ?? [];
  if (digest === "") return null;
  const { min, max } = BCRYPT_COSTS;
  if (Number(cost) >= min && Number(cost) <= max) return { kind: "bcrypt", cost, salt, digest };
  return { kind: "refused", problem: `the bcrypt cost is ${Number(cost)}; it must be ${min} to ${max}` };
}

function readApr1(hash: string): PasswordHash | null {
  const [, salt = "", digest = ""] = APR1.exec(hash) ?? [];
  return digest === "" ? null : { kind: "apr1", salt, digest };
}

function readShaCrypt(hash: string): PasswordHash | null {
  const [, variant, given, salt = "", digest = ""] = SHA_CRYPT.exec(hash) ?? [];
  const algorithm = variant === "5" ? "sha256" : "sha512";
  if (digest.length !== (algorithm === "sha256" ? 43 : 86)) return null;
  const { min, max } = SHA_CRYPT_ROUNDS;
  const rounds = given === undefined ? SHA_CRYPT_ROUNDS.default : Number(given);
  if (rounds >= min && rounds <= max) return { kind: "sha-crypt", algorithm, rounds, salt, digest };
  return { kind: "refused", problem: `the hash has ${rounds} rounds; it must have ${min} to ${max}` };
}

/** {SHA} is 20 bytes; {SSHA} is 20 bytes and a salt of 1 to 64. */
function readLdapSha(hash: string): PasswordHash | null {
  const [, scheme, base64 = ""] = LDAP_SHA.exec(hash) ?? [];
  const bytes = Buffer.from(base64, "base64");
  if (bytes.toString("base64") !== base64) return null;
  const salt = bytes.subarray(20);
  const fits = scheme === "SHA" ? salt.length === 0 : salt.length >= 1 && salt.length <= 64;
  return fits && bytes.length >= 20 ? { kind: "sha1", salt, digest: bytes.subarray(0, 20) } : null;
}

function refuse(hash: string): PasswordHash {
  return { kind: "refused", problem: refusal(hash) };
}

function refusal(hash: string): string {
  if (hash === "") return "no hash after the name";
  if (/^\$(2[aby]|apr1|[56])\$|^\{S?SHA\}/.test(hash)) return "the hash is malformed or cut off";
  if (/^[${]/.test(hash)) return `the hash has an unknown format; ${FORMATS}`;
  if (DES_LIKE.test(hash)) return `DES crypt or plain text is not safe; ${FORMATS}`;
  return `plain text is not safe; ${FORMATS}`;
}
