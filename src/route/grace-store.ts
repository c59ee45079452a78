/**
 * Keeps the allows that clients got, by the rules of core/grace.ts. The key is a keyed digest of what distinguishes a
 * client, so no cookie and no credential is kept. When the store is full, the oldest allow goes first.
 */
import { createHmac } from "node:crypto";
import type { RouteState } from "../core/answer-check.ts";
import { clientOf, identityAmong, identityOf } from "../core/grace.ts";
import type { Check, RawHeaders } from "../core/types.ts";

const MAX_ENTRIES = 10_000;
/** Bytes of identity headers. A signed token among them has 1 to 2 KiB. */
const MAX_BYTES = 16 * 1024 * 1024;
const MAX_ENTRY_BYTES = 16 * 1024;
/** The last refusals are kept, because allows of earlier checks may still arrive after them. */
const MAX_REFUSALS = 10_000;
const KEY_BYTES = 32;

interface Kept {
  readonly identity: RawHeaders;
  readonly bytes: number;
  /** When the allowed check came in. */
  readonly at: number;
}

/** The grace of one route. `clear` forgets all allows, and keeps none of the checks that are on their way. */
export type Grace = RouteState["grace"] & { clear(): void };

/** The limits of the store hold for all routes together. */
export interface GraceStore {
  /** An empty `Grace`, which knows nothing of any other one. */
  create(): Grace;
}

interface GraceStoreDeps {
  /** Milliseconds, monotonic. */
  readonly now: () => number;
  readonly randomBytes: (length: number) => Uint8Array;
}

export function createGraceStore({ now, randomBytes }: GraceStoreDeps): GraceStore {
  const kept = new Map<string, Kept>();
  /** When each digest was last refused, the newest at the end. */
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
    // The key separates the allows of routes that share the store, and those of an upstream from its successor's.
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
        // After a reload the config may name other headers.
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
