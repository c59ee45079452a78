/** What the status page says in words, none of which a client chose. */
import type { EjectedFrom, EjectionReason, EndpointChange } from "../../core/endpoint.ts";
import type { FailingLogins } from "../../core/login-progress.ts";
import type { ProbeResult } from "../../core/probe.ts";
import type { Route } from "../../core/snapshot.ts";
import type { FallbackMode, FallbackReason, NotifyEvent, OverrideEvent } from "../../core/types.ts";
import type { TimelineEvent } from "../event.ts";
import type { EndpointCounts, FallbackFacts } from "../report.ts";

/** `45 s`, `12 min`, `3 h 5 min`, `2 d 4 h`. */
export function durationText(seconds: number): string {
  const whole = Math.max(0, Math.floor(seconds));
  const minutes = Math.floor(whole / 60);
  const hours = Math.floor(minutes / 60);
  if (minutes === 0) return `${whole} s`;
  if (hours === 0) return `${minutes} min`;
  if (hours < 24) return joined(`${hours} h`, minutes % 60, "min");
  return joined(`${Math.floor(hours / 24)} d`, hours % 24, "h");
}

function joined(first: string, rest: number, unit: string): string {
  return rest === 0 ? first : `${first} ${rest} ${unit}`;
}

/** `1 check`, `1,234 checks`. */
export function counted(count: number, one: string, several = `${one}s`): string {
  return `${numberText(count)} ${count === 1 ? one : several}`;
}

export function numberText(count: number): string {
  // Intl would have to be loaded and takes 1 MB.
  return String(count).replace(/\B(?=(\d{3})+$)/g, ",");
}

const REASONS: Readonly<Record<Exclude<FallbackReason, `status_${number}`>, string>> = {
  refused: "the upstream refuses connections",
  unreachable: "there is no way to the upstream",
  connect_timeout: "the upstream takes no connection in time",
  dns: "the upstream's name cannot be resolved",
  tls: "there is no TLS connection to the upstream",
  read_timeout: "the upstream is silent",
  total_timeout: "the upstream takes too long",
  reset: "the upstream breaks off",
  malformed: "the upstream speaks no valid HTTP",
  too_large: "the upstream answers too much",
  bare_400: "the upstream answers empty 400s",
  login_down: "the login page that the upstream redirects to is down",
  breaker_open: "the breaker is open",
  unexpected: "the upstream's answers lack what they always had",
  abandoned: "the upstream keeps checks waiting until their gateways give up",
  overload: "the upstream is busy with other checks",
  override: "a person chose it",
};

export function reasonText(reason: FallbackReason): string {
  if (isStatus(reason)) return `the upstream answers ${reason.slice("status_".length)}`;
  return REASONS[reason];
}

function isStatus(reason: FallbackReason): reason is `status_${number}` {
  return reason.startsWith("status_");
}

/** Says of one endpoint what `reasonText` says of the upstream. */
function endpointReasonText(reason: EjectionReason): string {
  if (reason === "slow") return "it is far slower than the others";
  return reasonText(reason).replace("the upstream's", "its").replace("the upstream", "it");
}

const EJECTED_FROM: Readonly<Record<EjectedFrom, string>> = {
  all: "",
  cookieless: " for checks without a cookie",
};

/** `2 of 3 endpoints answer`; null where the only one answers, or none is known. */
export function endpointsText({ all, ejected, ejectedCookieless }: EndpointCounts): string | null {
  if (all < 2 && ejected + ejectedCookieless === 0) return null;
  const answering = all - ejected;
  const text = `${answering} of ${counted(all, "endpoint")} ${answering === 1 ? "answers" : "answer"}`;
  return ejectedCookieless === 0 ? text : `${text}, ${ejectedCookieless} only checks with a cookie`;
}

/** `10.0.3.7:9000 has not been asked since 12:04:05: it refuses connections`. `since` is what the page says for it. */
export function ejectionText(
  endpoint: string,
  { from, reason }: { readonly from: EjectedFrom; readonly reason: EjectionReason },
  since: string,
): string {
  return `${endpoint} has not been asked${EJECTED_FROM[from]} since ${since}: ${endpointReasonText(reason)}`;
}

export function refusedProbeText(status: number): string {
  return `Probes are answered ${status}: set probe.hosts to a host that the upstream knows`;
}

/** Nobody's login goes well. */
export function failingLoginsText({ failed, addresses }: FailingLogins): string {
  return `Logins fail: ${numberText(failed)} from ${numberText(addresses)} addresses, and none went well in 10 minutes`;
}

/** What a probe found. */
export function probeResultText(result: ProbeResult): string {
  switch (result.kind) {
    case "fine":
      return result.passed ? "the upstream gives a verdict" : "the upstream gives a verdict, a refusal";
    case "suspect":
      return `the upstream answers, but no probe should get this: ${reasonText(result.reason)}`;
    case "fault":
      return `at fault: ${reasonText(result.reason)}`;
    case "unknown":
      return "nothing was found out: sparekey's own limits kept it from asking";
  }
}

/** While every check falls back. */
const HELD: Readonly<Record<FallbackMode, string>> = {
  "basic-auth": "Emergency login active",
  allow: "Everybody is let through",
  deny: "Everybody is refused",
  none: "Unavailable",
};
/** While only the checks that meet a fault fall back. */
const PARTLY: Readonly<Record<FallbackMode, string>> = {
  "basic-auth": "Emergency login for some checks",
  allow: "Some checks are let through unasked",
  deny: "Some checks are refused",
  none: "Unavailable for some checks",
};
const NAMES: Readonly<Record<FallbackMode, string>> = {
  "basic-auth": "emergency login",
  allow: "letting checks through",
  deny: "refusing checks",
  none: "being unavailable",
};

/** `Emergency login active for 12 min: the upstream refuses connections`. */
export function fallbackText({ mode, reason, isHeld }: FallbackFacts, seconds: number): string {
  const doing = isHeld ? `${HELD[mode]} for` : `${PARTLY[mode]}, for`;
  return `${doing} ${durationText(seconds)}: ${reasonText(reason)}`;
}

/** `quiet`, `lasted`: seconds. */
export function recoveringText({ mode }: FallbackFacts, quiet: number, lasted: number): string {
  return `No fallback for ${durationText(quiet)}, after ${durationText(lasted)} of ${NAMES[mode]}`;
}

/** Says which clients the fallback of a route lets in. `users`: null or the fewest of any htpasswd file it uses. */
export function letsInText({ fallback, hosts }: Route, users: number | null): string {
  const others = hosts.length === 0 ? "" : `; ${counted(hosts.length, "host pattern")} may differ`;
  return `${admitted(fallback, hosts.length === 0 ? users : null)}${others}`;
}

function admitted(fallback: Route["fallback"], users: number | null): string {
  switch (fallback.mode) {
    case "allow":
      return "everybody, unasked";
    case "deny":
      return fallback.grace === null ? "nobody" : "only who was let in a short while ago";
    case "none":
      return "nobody: checks get 502 or 504";
    case "basic-auth": {
      if (users === 0) return "nobody: the emergency login has no users";
      const count = users === null ? "" : ` (${counted(users, "user")})`;
      const where = fallback.allowFrom === null ? "" : " and comes from allowFrom";
      const grace = fallback.grace === null ? "" : "; who was let in a short while ago goes on";
      return `who has an emergency password${count}${where}${grace}`;
    }
  }
}

export type Tone = "bad" | "warn" | "good" | "plain";

/** What an event says. `detail` names people, files and addresses, and is shown after a login only. */
export interface EventText {
  readonly text: string;
  readonly detail: string;
  readonly tone: Tone;
}

/** A file may have any number of problems, and they quote it, so what is shown of them is bounded. */
const MOST_PROBLEMS = 5;
const MOST_LENGTH = 300;

export function eventText(event: TimelineEvent): EventText {
  switch (event.kind) {
    case "started":
      return plain("sparekey started");
    case "fallback_began":
      return bad(`Fallback began (${event.mode}): ${reasonText(event.reason)}`);
    case "fallback_ended": {
      const lasted = durationText(Math.round(event.seconds));
      return good(`Fallback ended (${event.mode}) after ${lasted} and ${counted(event.checks, "check")}`);
    }
    case "breaker_opened":
      return bad(`Breaker opened${event.reason === null ? "" : `: ${reasonText(event.reason)}`}`);
    case "breaker_closed":
      return good(`Breaker closed after ${durationText(event.seconds)}`);
    case "probe_proven":
      return good("The probe is proven: its results can be believed");
    case "probe_unproven":
      return warn("The probe is no longer proven: the upstream answers it otherwise");
    case "probe_refused":
      return warn(refusedProbeText(event.status));
    case "logins_failing":
      return bad(failingLoginsText(event));
    case "logins_failing_ended": {
      const lasted = durationText(event.seconds);
      return event.wentWell
        ? good(`A login went well again after ${lasted}`)
        : plain(`Fewer logins fail after ${lasted}, and none went well`);
    }
    case "endpoint":
      return endpointChangeText(event.change);
    case "emergency_login":
      return { tone: "warn", text: "Emergency login", detail: `Emergency login of ${event.user}` };
    case "override":
      return overrideText(event.change);
    case "reloaded": {
      const rest = event.needsRestart.map((one) => `; ${one}`).join("");
      return rest === "" ? good("Config reloaded") : warn(`Config reloaded, but not all of it${rest}`);
    }
    case "reload_refused": {
      const { problems } = event;
      const text = `Config refused, the one in use stays: ${counted(problems.length, "problem")}`;
      const first = problems.slice(0, MOST_PROBLEMS).map((problem) => problem.slice(0, MOST_LENGTH));
      return { tone: "bad", text: `${text}, see the log`, detail: `${text}. ${first.join(". ")}` };
    }
    case "probed": {
      const text = `Probe by hand: ${probeResultText(event.result)}`;
      return { tone: "plain", text, detail: `${text} (${event.user})` };
    }
    case "htpasswd_loaded": {
      const { users, problems } = event;
      const ignored = problems.length === 0 ? "" : `, ${counted(problems.length, "bad line")} ignored`;
      const text = `htpasswd loaded: ${counted(users, "user")}${ignored}`;
      const tone = users === 0 ? "bad" : ignored === "" ? "plain" : "warn";
      return { tone, text, detail: `${text} (${event.file})` };
    }
    case "htpasswd_unreadable": {
      const text = "An htpasswd file is unreadable: nobody can log in by it";
      return { tone: "bad", text, detail: `${text}. ${event.file}: ${event.problem}` };
    }
    case "notify":
      return deliveryText(event.delivery);
    case "worker_died":
      return bad(`Worker ${event.number} died`);
    case "worker_serves":
      return good(`Worker ${event.number} serves in place of the one that died`);
    case "drain_began":
      return warn("Drain began: sparekey finishes what is in flight and ends");
  }
}

function endpointChangeText(change: EndpointChange): EventText {
  const { kind, endpoint } = change;
  switch (kind) {
    case "ejected": {
      const what = `is not asked any more${EJECTED_FROM[change.from]}: ${endpointReasonText(change.reason)}`;
      return { tone: "warn", text: `An endpoint ${what}`, detail: `${endpoint} ${what}` };
    }
    case "restored": {
      const what = `is asked again${EJECTED_FROM[change.from]} after ${durationText(change.seconds)}`;
      return { tone: "good", text: `An endpoint ${what}`, detail: `${endpoint} ${what}` };
    }
    case "joined":
      return {
        tone: "plain",
        text: "The upstream's name has a new address",
        detail: `The upstream's name now has the address ${endpoint}`,
      };
    case "left":
      return {
        tone: "plain",
        text: "The upstream's name has lost an address",
        detail: `The upstream's name no longer has the address ${endpoint}`,
      };
  }
}

function overrideText(change: OverrideEvent): EventText {
  const { mode } = change;
  if (change.kind === "begins") {
    const reason = change.reason === null ? "" : `: “${change.reason}”`;
    const text = `Override to ${mode} for ${durationText(change.seconds)}`;
    return { tone: "warn", text: `${text}${reason}`, detail: `${text} by ${change.user}${reason}` };
  }
  const text = `Override to ${mode} ended: ${ENDS[change.by]}`;
  return { tone: "plain", text, detail: change.user === null ? text : `${text} (${change.user})` };
}

const ENDS: Readonly<Record<Extract<OverrideEvent, { kind: "ended" }>["by"], string>> = {
  expiry: "its time is over",
  person: "by hand",
  reload: "its route is gone",
};

function deliveryText(delivery: NotifyEvent): EventText {
  const target = `notify[${delivery.entry}]`;
  const detail = (text: string): string => `${text} (${delivery.origin})`;
  switch (delivery.kind) {
    case "failing": {
      const text = `Messages to ${target} do not get through: ${delivery.reason}`;
      return { tone: "warn", text, detail: detail(text) };
    }
    case "working": {
      const text = `Messages to ${target} get through again`;
      return { tone: "good", text, detail: detail(text) };
    }
    case "given_up": {
      const text = `${counted(delivery.lost, "message")} to ${target} given up: ${delivery.reason}`;
      return { tone: "bad", text, detail: detail(text) };
    }
  }
}

function plain(text: string): EventText {
  return { text, detail: text, tone: "plain" };
}

function good(text: string): EventText {
  return { text, detail: text, tone: "good" };
}

function warn(text: string): EventText {
  return { text, detail: text, tone: "warn" };
}

function bad(text: string): EventText {
  return { text, detail: text, tone: "bad" };
}
