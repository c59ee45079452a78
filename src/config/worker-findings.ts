/** What one process can keep and several workers cannot. */
import type { FallbackMode } from "../core/types.ts";
import type { EffectiveRoute } from "./effective.ts";
import { hostFallbackShape } from "./fallback-schema.ts";
import { asList, asMapping, type Mapping } from "./plain-data.ts";
import type { Finding, Path } from "./problem.ts";
import { routeShape, validParts } from "./schema.ts";

/** `raw`: the route at `at`, as written. */
export function workerFindings(workers: number, at: Path, raw: Mapping, route: EffectiveRoute): Finding[] {
  if (workers === 1) return [];
  return [
    ...shareFindings(workers, at, raw),
    ...graceFindings(at, raw, route.mode),
    ...asList(raw.hosts).flatMap((host, index) =>
      graceFindings([...at, "hosts", index], asMapping(host), route.hosts[index]?.mode ?? null),
    ),
  ];
}

function shareFindings(workers: number, at: Path, raw: Mapping): Finding[] {
  const { maxConnections = workers } = validParts({ maxConnections: routeShape.maxConnections }, raw);
  const message = `{value} is less than workers (${workers}), of which each needs one`;
  return maxConnections < workers ? [{ path: [...at, "maxConnections"], message }] : [];
}

/** Else a client whom one worker has heard to be refused would go on by what another remembers. */
function graceFindings(at: Path, { fallback }: Mapping, mode: FallbackMode | null): Finding[] {
  if (mode !== "basic-auth" && mode !== "deny") return [];
  const { grace = 0 } = validParts({ grace: hostFallbackShape.grace }, fallback);
  const message = "{value} needs workers: 1; a worker does not know whom the upstream refused at another";
  return grace > 0 ? [{ path: [...at, "fallback", "grace"], message }] : [];
}
