/** The lines about single checks: few by design, so that an outage cannot fill a disk (incident of 2024-04-04). */
import { firstHeader } from "../core/headers.ts";
import type { LogOptions } from "../core/snapshot.ts";
import type { Check, Decision, FallenBack } from "../core/types.ts";
import { clientText, type LogData, type Logger } from "./log/logger.ts";
import type { LineSampling, RouteRecord } from "./route-record.ts";

interface CheckLinesDeps {
  readonly logger: Logger;
  /** What the config in use says. */
  access(): LogOptions["access"];
  /** The client's address; null when the gateway names none. */
  clientOf(check: Check): string | null;
  /** Milliseconds, monotonic. */
  now(): number;
}

type WriteCheckLine = (record: RouteRecord, check: Check, decision: Decision, milliseconds: number) => void;

const BETWEEN_LINES = 1000;

export function createCheckLines({ logger, access, clientOf, now }: CheckLinesDeps): WriteCheckLine {
  const checkData = (
    record: RouteRecord,
    check: Check,
    decision: Decision,
    milliseconds: number,
  ): LogData => ({
    route: record.route.name,
    source: decision.source,
    verdict: decision.verdict,
    ...(decision.fallback && fallbackData(decision.fallback)),
    status: decision.reply.status,
    ms: Math.round(milliseconds * 1000) / 1000,
    method: clientText(check.method),
    host: hostOf(check),
    client: clientOf(check),
  });

  return (record, check, decision, milliseconds) => {
    const wanted = access();
    if (wanted === "off" || !logger.isEnabled("info")) return;
    if (decision.source === "upstream") {
      if (wanted === "all") logger.info("check", checkData(record, check, decision, milliseconds));
      return;
    }
    // These are sampled with `all` too, because they come by the thousand when something is wrong.
    const omitted = takeTurn(record.lines, now());
    if (omitted === null) return;
    logger.info("check", { ...checkData(record, check, decision, milliseconds), omitted });
  };
}

/** The reply does not say why a login was forbidden, so that an attacker does not learn it; the log does. */
function fallbackData({ mode, reason, result, login }: FallenBack): LogData {
  return { mode, reason, result, ...(login?.kind === "forbidden" && { forbidden: login.why }) };
}

/** Returns how many checks were left out before this one, or null when this one is left out too. */
function takeTurn(lines: LineSampling, now: number): number | null {
  if (now - lines.lastLine < BETWEEN_LINES) {
    lines.omitted += 1;
    return null;
  }
  const { omitted } = lines;
  lines.lastLine = now;
  lines.omitted = 0;
  return omitted;
}

function hostOf(check: Check): string | null {
  const host = firstHeader(check.headers, "x-forwarded-host");
  return host === null ? null : clientText(host);
}
