/**
 * What probes are made of: the hosts that they ask for, and what a healthy upstream answers to each.
 *
 *  configured   `probe.hosts`
 *  own          the host of the check in question, once it was challenged to three client addresses
 *  first        the first host that was proven, for checks whose own host is not. Where it is forgotten, the next one
 *               takes its place
 *
 * - A check teaches a host when it got a challenge or an allow in quiet times. What a client says beside its host is
 *   never repeated, and preflights and odd methods teach nothing (core/dialect.ts).
 * - A host is proven once a probe for it got the same kind of verdict in quiet times. It holds that kind from then on,
 *   and decides. An unproven probe may be wrong itself.
 * - Where a challenge is proven, a host that is passed without a session decides nothing: the upstream passes it
 *   whatever state its sessions are in, so it could be used to clear every fault of a later outage.
 * - Nothing is learned, proven or replaced from the begin of an outage to a minute after it.
 */
import { NOBODY, type ProbeSubject } from "./dialect.ts";
import type { ProvenVerdict } from "./types.ts";

/** Hosts that are remembered. */
const MAX_HOSTS = 256;
/** Client addresses that must have been challenged before a host is a check's own template. */
const ADDRESSES = 3;
/** The wait after a proof that failed. It doubles, up to the longest. */
const FIRST_WAIT_MS = 10_000;
const LONGEST_WAIT_MS = 3_600_000;
/** For so long a proven host must have been answered otherwise before it is learned anew. */
const CHANGED_MS = 300_000;

/** One host, and what is known of it. */
export interface Template {
  readonly subject: ProbeSubject;
  readonly isConfigured: boolean;
  readonly proven: ProvenVerdict | null;
}

interface Known extends Template {
  subject: ProbeSubject;
  proven: ProvenVerdict | null;
  /** What a check for it was answered; null: none was. */
  taught: ProvenVerdict | null;
  /** The keys of client addresses that were challenged for it, up to as many as are needed. */
  readonly challenged: Set<string>;
  /** When a probe may prove it next. */
  proofAt: number;
  wait: number;
  /** Since when a probe is answered a clean verdict that is not the proven one; null: it is not. */
  otherwiseSince: number | null;
  readonly otherwise: Set<string>;
}

/** What a check that may teach brings. */
export interface Lesson {
  readonly subject: ProbeSubject;
  readonly verdict: ProvenVerdict;
  /** The key of the client's address: core/client-address.ts. */
  readonly client: string;
}

export interface Templates {
  /** Learns from a check, in quiet times. Returns the templates that are to be proven by a probe now. */
  learn(lesson: Lesson, now: number): readonly Template[];
  /** A probe of `template` got `verdict` in quiet times, and missed no expectation. */
  proved(template: Template, verdict: ProvenVerdict): void;
  /** The proven templates that decide for a check of `host`. Empty: none is proven, so a probe may be wrong. */
  deciding(host: string | null): readonly Template[];
  isProven(host: string | null): boolean;
  /** A proven template was answered a clean verdict of another kind, while another one was answered as ever. */
  unprove(template: Template): void;
  /** The same, without another one. `client`: whose check was in question. */
  answeredOtherwise(template: Template, client: string, now: number): void;
  /** It was answered as ever. */
  answeredAsProven(template: Template): void;
  readonly proven: ProvenVerdict | null;
}

export function createTemplates(configured: readonly ProbeSubject[]): Templates {
  const operators = configured.map((subject) => known(subject, true));
  const learned = new Map<string, Known>();
  let first: Known | null = null;
  /** Of the first host and the configured ones. Every check asks for it. */
  let proven: ProvenVerdict | null = null;

  const renewProven = (): void => {
    const all = [first, ...operators].map((one) => one?.proven ?? null);
    if (all.includes("challenge")) proven = "challenge";
    else proven = all.includes("allow") ? "allow" : null;
  };

  const find = (host: string | null): Known | undefined =>
    operators.find(({ subject }) => subject.host === host) ?? learned.get(host ?? "");

  const provenAmong = (all: readonly (Known | null | undefined)[]): readonly Known[] => {
    const onlyChallenges = proven === "challenge";
    return all.filter(
      (one): one is Known => one?.proven != null && (!onlyChallenges || one.proven === "challenge"),
    );
  };

  const makeRoom = (): boolean => {
    if (learned.size < MAX_HOSTS) return true;
    for (const [host, one] of learned) if (one.proven === null) return learned.delete(host);
    return false;
  };

  const remember = (subject: ProbeSubject): Known | null => {
    const before = find(subject.host);
    if (before) return before;
    if (!makeRoom()) return null;
    const fresh = known(subject, false);
    learned.set(subject.host ?? "", fresh);
    return fresh;
  };

  const isWanted = (one: Known): boolean => {
    if (one.isConfigured) return one.proven === null;
    if (one.proven === "challenge") return false;
    // One check is enough for the first host, and for one that is challenged where the first is passed.
    const isFirst = first === null || (first.proven === "allow" && one.taught === "challenge");
    return isFirst || one.challenged.size >= ADDRESSES;
  };

  const forget = (one: Known): void => {
    one.proven = null;
    one.taught = null;
    one.challenged.clear();
    settle(one);
    if (one === first) first = bestAmong([...learned.values()]);
    renewProven();
  };

  return {
    learn: (lesson, now) => {
      const taught = remember(lesson.subject);
      if (taught !== null) teach(taught, lesson);
      const due = [...new Set([...operators, ...(taught ? [taught] : [])])].filter(
        (one) => isWanted(one) && now >= one.proofAt,
      );
      for (const one of due) {
        one.proofAt = now + one.wait;
        one.wait = Math.min(one.wait * 2, LONGEST_WAIT_MS);
      }
      return due;
    },
    proved: (template, verdict) => {
      const one = template as Known;
      // A probe that is challenged shows sessions at work, whatever a client with a session was answered.
      if (verdict !== "challenge" && !one.isConfigured && verdict !== one.taught) return;
      one.proven = verdict;
      one.wait = FIRST_WAIT_MS;
      const isBetter = first === null || (first.proven === "allow" && verdict === "challenge");
      if (!one.isConfigured && isBetter) first = one;
      renewProven();
    },
    deciding: (host) => {
      const own = find(host);
      const trusted = [...operators, own && own.challenged.size >= ADDRESSES ? own : null];
      const proven = provenAmong([...new Set(trusted)]);
      return proven.length > 0 ? proven : provenAmong([first]);
    },
    isProven: (host) => find(host)?.proven != null,
    unprove: (template) => forget(template as Known),
    answeredOtherwise: (template, client, now) => {
      const one = template as Known;
      one.otherwiseSince ??= now;
      if (one.otherwise.size < ADDRESSES) one.otherwise.add(client);
      if (now - one.otherwiseSince >= CHANGED_MS && one.otherwise.size >= ADDRESSES) forget(one);
    },
    answeredAsProven: (template) => settle(template as Known),
    get proven() {
      return proven;
    },
  };
}

/** The first that is proven, by a challenge if any is. */
function bestAmong(all: readonly Known[]): Known | null {
  return (
    all.find(({ proven }) => proven === "challenge") ?? all.find(({ proven }) => proven !== null) ?? null
  );
}

/** A challenge shows more than an allow, so it counts even if an allow came after it. */
function teach(one: Known, { verdict, client }: Lesson): void {
  if (one.taught === null || verdict === "challenge") one.taught = verdict;
  if (verdict === "challenge" && one.challenged.size < ADDRESSES) one.challenged.add(client);
}

function settle(one: Known): void {
  one.otherwiseSince = null;
  one.otherwise.clear();
}

function known(subject: ProbeSubject, isConfigured: boolean): Known {
  return {
    ...{ subject, isConfigured, proven: null, taught: null, challenged: new Set(), proofAt: 0 },
    ...{ wait: FIRST_WAIT_MS, otherwiseSince: null, otherwise: new Set() },
  };
}

/** For a probe when no host is proven: the configured one, else the check's own. */
export function unprovenSubject(configured: readonly ProbeSubject[], own: ProbeSubject | null): ProbeSubject {
  return configured[0] ?? own ?? NOBODY;
}
