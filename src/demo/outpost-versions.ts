/**
 * The versions of the stand-in outpost and the states that each can be in. What each one answers was measured at real
 * outposts 2025.6.4, 2025.10.2, 2026.2.2 and 2026.5-rc; 2026.8 was read in its source. A version has a state only
 * where it is known how it fails in it. One that starts while its core is away needs no state of its own: up to 2026.5
 * it does not listen (`refuse`), and from 2026.8 on it knows no app (`no-providers`).
 */

export const outpostVersions = ["2025.6", "2025.10", "2026.2", "embedded", "2026.8"] as const;
/**
 * "2025.6" stands for all up to 2025.8, "2025.10" for 2025.10.0 to .2, "2026.2" for 2025.10.3 to 2026.5 standalone,
 * "embedded" for the outpost within the core, with its sessions in PostgreSQL, and "2026.8" for the one in Rust.
 */
export type OutpostVersion = (typeof outpostVersions)[number];

/** The ways to fail that an outpost has beside those that every server has. */
export type OutpostState =
  | "store-full"
  | "store-unreadable"
  | "database-hangs"
  | "logins-hang"
  | "no-providers"
  | "core-down"
  | "core-hangs";

const everywhere = {
  "logins-hang":
    "its store hangs for new logins: no answer without a session, while people logged in get 200",
  "core-down": "its core is down: people logged in get 200, all others a 302 to a login that answers 503",
  "core-hangs":
    "its core hangs: a 302 leads to a login without an answer, and so does a check with a password",
} as const;

/** The states of each version, with what they do in words for people. */
export const outpostStates: Readonly<
  Record<OutpostVersion, Readonly<Partial<Record<OutpostState, string>>>>
> = {
  "2025.6": {
    "store-full": "cannot save sessions: 302 without a cookie, and the login never ends",
    ...everywhere,
  },
  "2025.10": {
    "store-full": "cannot save sessions: 200 for everybody, without an identity",
    ...everywhere,
  },
  "2026.2": {
    "store-full": "cannot save sessions: 400 and no body without one, while people logged in get their 200",
    "no-providers": "knows no app: 400 with JSON for everybody, people logged in too",
    ...everywhere,
  },
  embedded: {
    "store-full": "cannot save sessions: 400 and no body (compressed) without one, people logged in get 200",
    "store-unreadable": "its database is down: 302 for people logged in, 400 and no body for all others",
    "database-hangs": "its database hangs: no answer for anybody",
    "no-providers": "is starting: the core's 404 page for everybody, people logged in too",
    ...everywhere,
    "core-down": "its core is down: people logged in get 200, all others a 302 to a login that answers 502",
  },
  "2026.8": {
    "store-full": "cannot save sessions: 302 as ever, and each login ends with a 500",
    "store-unreadable": "cannot read sessions: 302 for everybody",
    "no-providers": "has not heard of its core yet: 400 with JSON for everybody",
    ...everywhere,
  },
};
