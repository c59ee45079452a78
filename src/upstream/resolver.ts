/**
 * Resolves the names of upstreams with the system's own resolver (/etc/hosts, search domains). A name has one lookup at
 * a time: each takes one of libuv's four threads, so a flood of connections would wait for itself and look like
 * a name server that is down. Addresses are kept, and used on when lookups fail.
 */
import { type LookupAddress, lookup as systemLookup } from "node:dns";
import { closeSync, openSync } from "node:fs";
import type { LookupFunction } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";

/** Addresses older than this are looked up again, in the background. */
const FRESH_MS = 5_000;
/** Addresses older than this may belong to another host by now, so the lookup is waited for, but only so long. */
const OLD_MS = 60_000;
const PATIENCE_MS = 500;

type SystemLookup = (name: string, done: (error: Error | null, addresses: LookupAddress[]) => void) => void;

interface Entry {
  addresses: readonly LookupAddress[];
  resolvedAt: number;
  lookup: Promise<void> | null;
}

/** Makes a `lookup` for net.connect. `now` is in milliseconds and never goes back. */
export function createResolver(now: () => number, lookUp: SystemLookup = allAddresses): LookupFunction {
  const entries = new Map<string, Entry>();

  const refresh = (name: string, entry: Entry): Promise<void> => {
    entry.lookup ??= new Promise<void>((resolve, reject) => {
      lookUp(name, (error, addresses) => {
        entry.lookup = null;
        if (error || addresses.length === 0) return reject(error ?? new Error("no address"));
        entry.addresses = addresses;
        entry.resolvedAt = now();
        resolve();
      });
    });
    return entry.lookup;
  };

  const resolve = async (name: string): Promise<readonly LookupAddress[]> => {
    const entry = entries.get(name) ?? { addresses: [], resolvedAt: 0, lookup: null };
    entries.set(name, entry);
    if (entry.addresses.length === 0) {
      await refresh(name, entry);
      return entry.addresses;
    }
    const age = now() - entry.resolvedAt;
    const refreshed = age > FRESH_MS ? refresh(name, entry).catch(() => {}) : null;
    if (age > OLD_MS) await Promise.race([refreshed, sleep(PATIENCE_MS)]);
    return entry.addresses;
  };

  return (name, { all }, done) => {
    resolve(name).then(
      (addresses) => {
        const [first] = addresses;
        if (all) done(null, [...addresses]);
        else done(null, first?.address ?? "", first?.family);
      },
      (error: Error) => done(ownLimit() ?? error, []),
    );
  };
}

/**
 * Runs lookups one after another, so that all names with a hanging name server take one of libuv's threads together.
 * Node gives lookups two of the four threads, so two lookups that hang could hold up those of checks.
 */
export function oneByOne(lookUp: SystemLookup = allAddresses): SystemLookup {
  let before = Promise.resolve();
  return (name, done) => {
    const begin = (over: () => void): void => {
      lookUp(name, (error, addresses) => {
        over();
        done(error, addresses);
      });
    };
    before = before.then(() => new Promise(begin));
  };
}

function allAddresses(name: string, done: (error: Error | null, addresses: LookupAddress[]) => void): void {
  systemLookup(name, { all: true }, done);
}

/** Without a file descriptor left, getaddrinfo fails as if the name did not exist. That is our limit and no fault. */
function ownLimit(): Error | null {
  try {
    closeSync(openSync("/dev/null", "r"));
    return null;
  } catch (error) {
    return error instanceof Error ? error : null;
  }
}
