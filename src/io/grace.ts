/**
 * The allows that clients got, by a keyed digest of what tells one from all others; the rules are in core/grace.ts.
 * Neither cookie nor credential is kept. Bounded: the allow that was given longest ago makes room.
 */
import { createHmac } from "node:crypto";
import { clientOf, identityOf } from "../core/grace.ts";
import type { Check, GraceRules, RawHeaders, Verdict } from "../core/types.ts";

const MAX_ENTRIES = 10_000;
/** Of identity headers: signed tokens are among them, of 1 to 2 KiB each. */
const MAX_BYTES = 16 * 1024 * 1024;
const MAX_ENTRY_BYTES = 16 * 1024;
const KEY_BYTES = 32;

interface Kept {
  readonly identity: RawHeaders;
  readonly bytes: number;
  readonly at: number;
}

/** What one route knows; the room is shared by all. */
export interface Grace {
  /** Keeps the identity of an allow; forgets it after a challenge or a refusal. */
  observe(check: Check, verdict: Verdict, rules: GraceRules): void;
  /** The identity headers of an allow that this very client got, while it holds; else null. */
  recall(check: Check, rules: GraceRules): RawHeaders | null;
}

export interface GraceStore {
  /** One that has kept nothing yet, and shares nothing with any other. */
  create(): Grace;
}

export interface GraceOptions {
  /** Milliseconds of a clock that never goes back. */
  readonly now: () => number;
  readonly randomBytes: (length: number) => Uint8Array;
}

export function createGraceStore({ now, randomBytes }: GraceOptions): GraceStore {
  const kept = new Map<string, Kept>();
  let bytes = 0;

  const forget = (digest: string): void => {
    bytes -= kept.get(digest)?.bytes ?? 0;
    kept.delete(digest);
  };

  const keep = (digest: string, identity: RawHeaders): void => {
    forget(digest);
    const size = sizeOf(identity);
    if (size > MAX_ENTRY_BYTES) return;
    kept.set(digest, { identity, bytes: size, at: now() });
    bytes += size;
    for (const oldest of kept.keys()) {
      if (kept.size <= MAX_ENTRIES && bytes <= MAX_BYTES) return;
      forget(oldest);
    }
  };

  const create = (): Grace => {
    // A key of its own is all that parts one route from another, and an upstream from the one before it.
    const key = randomBytes(KEY_BYTES);
    return {
      observe: (check, verdict, rules) => {
        if (verdict.kind === "fault" || verdict.kind === "suspect") return;
        const digest = digestOf(check, key);
        if (digest === null) return;
        if (verdict.kind !== "allow") return forget(digest);
        const identity = identityOf(verdict.answer, rules);
        if (identity !== null) keep(digest, identity);
      },
      recall: (check, rules) => {
        const digest = digestOf(check, key);
        const found = digest === null ? undefined : kept.get(digest);
        if (found === undefined || now() - found.at > rules.milliseconds) return null;
        return found.identity;
      },
    };
  };
  return { create };
}

function digestOf(check: Check, key: Uint8Array): string | null {
  const parts = clientOf(check.headers);
  return parts && createHmac("sha256", key).update(JSON.stringify(parts), "latin1").digest("base64");
}

function sizeOf(headers: RawHeaders): number {
  return headers.reduce((total, text) => total + text.length, 0);
}
