/**
 * The allows that clients got, by a keyed digest of what tells one from all others; the rules are in core/grace.ts.
 * Neither cookie nor credential is kept. Bounded: the allow that was given longest ago makes room.
 */
import { createHmac } from "node:crypto";
import { clientOf, identityAmong, identityOf } from "../core/grace.ts";
import type { GraceRules } from "../core/snapshot.ts";
import type { Check, Decided, RawHeaders } from "../core/types.ts";

const MAX_ENTRIES = 10_000;
/** Of identity headers: signed tokens are among them, of 1 to 2 KiB each. */
const MAX_BYTES = 16 * 1024 * 1024;
const MAX_ENTRY_BYTES = 16 * 1024;
/** The last refusals, for as long as checks that were asked before them may be on their way. */
const MAX_REFUSALS = 10_000;
const KEY_BYTES = 32;

interface Kept {
  readonly identity: RawHeaders;
  readonly bytes: number;
  /** When the check came in that it was given to. */
  readonly at: number;
}

/** What one route knows; the room is shared by all. */
export interface Grace {
  /** Keeps the identity of an allow; forgets it after a challenge or a refusal. `begin`: when the check came in. */
  observe(check: Check, verdict: Decided, rules: GraceRules, begin: number): void;
  /** The identity headers of an allow that this very client got, while it holds; else null. */
  recall(check: Check, rules: GraceRules): RawHeaders | null;
  /** Forgets all, and keeps nothing of checks that are on their way. */
  clear(): void;
}

export interface GraceStore {
  /** One that has kept nothing yet, and shares nothing with any other. */
  create(): Grace;
}

export interface GraceStoreDeps {
  /** Milliseconds of a clock that never goes back. */
  readonly now: () => number;
  readonly randomBytes: (length: number) => Uint8Array;
}

export function createGraceStore({ now, randomBytes }: GraceStoreDeps): GraceStore {
  const kept = new Map<string, Kept>();
  /** When the last one of each came, the newest at the end. */
  const refusals = new Map<string, number>();
  let bytes = 0;

  const forget = (digest: string): void => {
    bytes -= kept.get(digest)?.bytes ?? 0;
    kept.delete(digest);
  };

  const refuse = (digest: string): void => {
    forget(digest);
    refusals.delete(digest);
    refusals.set(digest, now());
    const [oldest] = refusals.keys();
    if (refusals.size > MAX_REFUSALS && oldest !== undefined) refusals.delete(oldest);
  };

  const keep = (digest: string, identity: RawHeaders, at: number): void => {
    if (at <= (refusals.get(digest) ?? Number.NEGATIVE_INFINITY)) return;
    if (at < (kept.get(digest)?.at ?? at)) return;
    forget(digest);
    const size = sizeOf(identity);
    if (size > MAX_ENTRY_BYTES) return;
    kept.set(digest, { identity, bytes: size, at });
    bytes += size;
    for (const oldest of kept.keys()) {
      if (kept.size <= MAX_ENTRIES && bytes <= MAX_BYTES) return;
      forget(oldest);
    }
  };

  const create = (): Grace => {
    // A key of its own is all that parts one route from another, and an upstream from the one before it.
    let key = randomBytes(KEY_BYTES);
    let clearedAt = Number.NEGATIVE_INFINITY;
    return {
      clear: () => {
        key = randomBytes(KEY_BYTES);
        clearedAt = now();
      },
      observe: (check, verdict, rules, begin) => {
        const digest = digestOf(check, key);
        if (digest === null) return;
        if (verdict.kind !== "allow") return refuse(digest);
        if (begin <= clearedAt) return;
        const identity = identityOf(verdict.answer, rules);
        if (identity !== null) keep(digest, identity, begin);
      },
      recall: (check, rules) => {
        const digest = digestOf(check, key);
        const found = digest === null ? undefined : kept.get(digest);
        if (found === undefined || now() - found.at > rules.milliseconds) return null;
        // The config may name other headers by now.
        return identityAmong(found.identity, rules);
      },
    };
  };
  return { create };
}

function digestOf(check: Check, key: Uint8Array): string | null {
  const parts = clientOf(check);
  return parts && createHmac("sha256", key).update(JSON.stringify(parts), "latin1").digest("base64");
}

function sizeOf(headers: RawHeaders): number {
  return headers.reduce((total, text) => total + text.length, 0);
}
