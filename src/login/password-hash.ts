/** Checks whether a password belongs to a hash. This is slow on purpose, so it runs in the password workers only. */
import { createHash, timingSafeEqual } from "node:crypto";
import { hashSync } from "bcrypt";
import { type PasswordHash, readHash } from "./htpasswd.ts";

/** In UTF-8. The time of SHA-crypt grows with the password, and no real password is longer. */
const MAX_PASSWORD_BYTES = 1024;
/** A password that cannot be good is replaced by this one, so that it takes the same time. */
const STAND_IN = Buffer.from("not a password");

const CRYPT_ALPHABET = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
/** The order in which the crypt formats write a digest's bytes: three bytes become four characters, highest first. */
const APR1_ORDER = [0, 6, 12, 1, 7, 13, 2, 8, 14, 3, 9, 15, 4, 10, 5, 11];
const SHA256_ORDER = [
  0, 10, 20, 21, 1, 11, 12, 22, 2, 3, 13, 23, 24, 4, 14, 15, 25, 5, 6, 16, 26, 27, 7, 17, 18, 28, 8, 9, 19,
  29, 31, 30,
];
const SHA512_ORDER = [
  0, 21, 42, 22, 43, 1, 44, 2, 23, 3, 24, 45, 25, 46, 4, 47, 5, 26, 6, 27, 48, 28, 49, 7, 50, 8, 29, 9, 30,
  51, 31, 52, 10, 53, 11, 32, 12, 33, 54, 34, 55, 13, 56, 14, 35, 15, 36, 57, 37, 58, 16, 59, 17, 38, 18, 39,
  60, 40, 61, 19, 62, 20, 41, 63,
];

/**
 * Whether `password` belongs to `hash`. These never match: a hash that `readHash` refuses, an empty password, one over
 * 1024 bytes, and one with a NUL, where crypt would stop reading.
 */
export function verifyPassword(password: string, hash: string): boolean {
  const bytes = Buffer.from(password);
  const possible = bytes.length > 0 && bytes.length <= MAX_PASSWORD_BYTES && !bytes.includes(0);
  const matches = digestMatches(possible ? bytes : STAND_IN, readHash(hash));
  return possible && matches;
}

function digestMatches(password: Buffer, hash: PasswordHash): boolean {
  switch (hash.kind) {
    case "bcrypt": {
      // $2a$, $2b$ and $2y$ are one algorithm. The library does not know $2y$, and its $2a$ counts the length of a
      // password in one byte.
      const made = hashSync(password, `$2b$${hash.cost}$${hash.salt}`);
      return sameText(made.slice(-hash.digest.length), hash.digest);
    }
    case "apr1":
      return sameText(apr1(password, Buffer.from(hash.salt)), hash.digest);
    case "sha1":
      return timingSafeEqual(digestOf("sha1", password, hash.salt), hash.digest);
    case "sha-crypt":
      return sameText(shaCrypt(hash.algorithm, password, Buffer.from(hash.salt), hash.rounds), hash.digest);
    case "refused":
      return false;
  }
}

function sameText(one: string, other: string): boolean {
  return one.length === other.length && timingSafeEqual(Buffer.from(one), Buffer.from(other));
}

function digestOf(algorithm: string, ...parts: readonly Uint8Array[]): Buffer {
  const digest = createHash(algorithm);
  for (const part of parts) digest.update(part);
  return digest.digest();
}

/** `length` bytes of `pattern`, repeated. */
function stretch(pattern: Uint8Array, length: number): Buffer {
  return Buffer.alloc(length, pattern);
}

/** The bits of `length`, lowest first. */
function bitsOf(length: number): boolean[] {
  const bits: boolean[] = [];
  for (let rest = length; rest > 0; rest >>= 1) bits.push((rest & 1) === 1);
  return bits;
}

/** APR's variant of the MD5 crypt of FreeBSD: apr_md5_encode in apr-util's crypto/apr_md5.c. */
function apr1(password: Buffer, salt: Buffer): string {
  const inner = digestOf("md5", password, salt, password);
  const zero = Buffer.of(0);
  const start = [password, Buffer.from("$apr1$"), salt, stretch(inner, password.length)];
  for (const bit of bitsOf(password.length)) start.push(bit ? zero : password.subarray(0, 1));
  return cryptText(stir("md5", digestOf("md5", ...start), password, salt, 1000), APR1_ORDER);
}

/** Ulrich Drepper, "Unix crypt using SHA-256 and SHA-512", steps 1 to 22. */
function shaCrypt(algorithm: "sha256" | "sha512", password: Buffer, salt: Buffer, rounds: number): string {
  const inner = digestOf(algorithm, password, salt, password);
  const start = [password, salt, stretch(inner, password.length)];
  for (const bit of bitsOf(password.length)) start.push(bit ? inner : password);
  const first = digestOf(algorithm, ...start);
  const manyPasswords = stretch(password, password.length * password.length);
  const manySalts = stretch(salt, salt.length * (16 + (first[0] ?? 0)));
  const passwordSequence = stretch(digestOf(algorithm, manyPasswords), password.length);
  const saltSequence = stretch(digestOf(algorithm, manySalts), salt.length);
  const last = stir(algorithm, first, passwordSequence, saltSequence, rounds);
  return cryptText(last, algorithm === "sha256" ? SHA256_ORDER : SHA512_ORDER);
}

/** The rounds of both families, which differ only in what they pass as password and salt. */
function stir(algorithm: string, first: Buffer, password: Buffer, salt: Buffer, rounds: number): Buffer {
  let last = first;
  for (let round = 0; round < rounds; round++) {
    const parts = [round % 2 === 1 ? password : last];
    if (round % 3 !== 0) parts.push(salt);
    if (round % 7 !== 0) parts.push(password);
    parts.push(round % 2 === 1 ? last : password);
    last = digestOf(algorithm, ...parts);
  }
  return last;
}

/** crypt's own base64: three bytes make one number, which is written with its lowest six bits first. */
function cryptText(digest: Buffer, order: readonly number[]): string {
  let text = "";
  for (let at = 0; at < order.length; at += 3) {
    const group = order.slice(at, at + 3);
    let bits = group.reduce((sum, index) => (sum << 8) | (digest[index] ?? 0), 0);
    for (let chars = 0; chars <= group.length; chars++) {
      text += CRYPT_ALPHABET[bits & 63];
      bits >>= 6;
    }
  }
  return text;
}
