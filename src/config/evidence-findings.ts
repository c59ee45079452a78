/** Finds keys of `fault`, `expect` and `probe` of a route that contradict each other. */
import type { FallbackMode } from "../core/types.ts";
import { resource } from "./addresses.ts";
import { matchShape } from "./fault-schema.ts";
import { asList, asMapping, isMapping, type Mapping } from "./plain-data.ts";
import type { Finding, Path } from "./problem.ts";
import { validParts } from "./schema.ts";

export const RELAYS_ALL =
  "a route of mode none relays every answer as it came; leave it out, or write another mode";

/** `raw`: the route at `at`, as written. `mode`: null if it is unknown. */
export function evidenceFindings(at: Path, raw: Mapping, mode: FallbackMode | null): Finding[] {
  return [
    ...statusFindings([...at, "fault"], asMapping(raw.fault)),
    ...matchFindings([...at, "fault", "match"], asMapping(raw.fault).match),
    ...expectFindings([...at, "expect"], asMapping(raw.expect), mode),
    ...probeFindings([...at, "probe"], asMapping(raw.probe)),
  ];
}

/** Finds texts of the list at `path` that an earlier entry has, in whatever case. */
export function namedTwice(path: Path, raw: unknown): Finding[] {
  const names = asList(raw).map((name) => (typeof name === "string" ? name.toLowerCase() : null));
  return repeated(path, names);
}

/** `entries` of the list at `path`, in one spelling each; null: one that is not compared. */
function repeated(path: Path, entries: readonly (string | null)[]): Finding[] {
  return entries.flatMap((entry, index) => {
    if (entry === null || entries.indexOf(entry) === index) return [];
    return [{ path: [...path, index], message: "{value} is named twice; keep one" }];
  });
}

function statusFindings(path: Path, fault: Mapping): Finding[] {
  const statuses = asList(fault.statuses);
  return asList(fault.suspectStatuses).flatMap((status, index) =>
    statuses.includes(status)
      ? [{ path: [...path, "suspectStatuses", index], message: "{value} is in statuses too; keep one" }]
      : [],
  );
}

/** A status alone would make a fault of each 403. With both, nobody could tell whether one or both must fit. */
function matchFindings(path: Path, raw: unknown): Finding[] {
  return asList(raw).flatMap((entry, index): Finding[] => {
    if (!isMapping(entry)) return [];
    const { header, body } = validParts(matchShape, entry);
    if (header === undefined || body === undefined) return [];
    const at = [...path, index];
    if (header !== null && body !== null) {
      return [{ path: [...at, "body"], message: "stands beside header; keep one of them", at: "key" }];
    }
    if (header !== null || body !== null) return [];
    const message =
      "has neither header nor body; write one, which tells this answer from another of its status";
    return [{ path: at, message }];
  });
}

function expectFindings(path: Path, expect: Mapping, mode: FallbackMode | null): Finding[] {
  const twice = (["challenge", "allow"] as const).flatMap((part) =>
    namedTwice([...path, part, "headers"], asMapping(expect[part]).headers),
  );
  if (mode !== "none" || Object.keys(expect).length === 0) return twice;
  return [{ path, message: RELAYS_ALL, at: "key" }, ...twice];
}

function probeFindings(path: Path, probe: Mapping): Finding[] {
  const hosts = namedTwice([...path, "hosts"], probe.hosts);
  const pages = repeated([...path, "loginHealth"], asList(probe.loginHealth).map(urlText));
  const isBoth = typeof probe.host === "string" && asList(probe.hosts).length > 0;
  if (!isBoth) return [...hosts, ...pages];
  const message = "{value} stands beside hosts; write it into hosts, and leave host out";
  return [{ path: [...path, "host"], message }, ...hosts, ...pages];
}

/** The URL in one spelling; null: it is not good by itself. */
function urlText(written: unknown): string | null {
  const { url } = validParts({ url: resource() }, { url: written });
  return url === undefined ? null : JSON.stringify([url.origin, url.target]);
}
