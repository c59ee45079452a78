/**
 * Resolves the names of upstreams with the system's own resolver (/etc/hosts, search domains). A name has one lookup at
 * a time, and all who ask for the name share it. Each lookup takes one of libuv's four threads. Many at once would wait
 * for each other, and the name server would look as if it were down.
 */
import { type LookupAddress, lookup as systemLookup } from "node:dns";
import { closeSync, openSync } from "node:fs";

/** The routes of a config often have one upstream in common, so a result this young serves them all. */
const FRESH_MS = 2_000;

/** The addresses of a name, at least one. It rejects when they cannot be had, for our own limits with their code. */
export type Resolver = (name: string) => Promise<readonly string[]>;

type SystemLookup = (name: string, done: (error: Error | null, addresses: LookupAddress[]) => void) => void;

interface Entry {
  readonly addresses: Promise<readonly string[]>;
  /** It is infinite while the lookup is on its way. */
  freshUntil: number;
}

/** `now` is in milliseconds and never goes back. */
export function createResolver(now: () => number, lookUp: SystemLookup = allAddresses): Resolver {
  const entries = new Map<string, Entry>();

  const begin = (name: string): Entry => {
    const addresses = new Promise<readonly string[]>((resolve, reject) => {
      lookUp(name, (error, found) => {
        if (error || found.length === 0) {
          entries.delete(name);
          return reject(ownLimit() ?? error ?? new Error("no address"));
        }
        entry.freshUntil = now() + FRESH_MS;
        resolve(found.map(({ address }) => address));
      });
    });
    const entry: Entry = { addresses, freshUntil: Number.POSITIVE_INFINITY };
    entries.set(name, entry);
    return entry;
  };

  return (name) => {
    const known = entries.get(name);
    return known && now() < known.freshUntil ? known.addresses : begin(name).addresses;
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
