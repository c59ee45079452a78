import t from "tap";
import type { EjectionReason } from "../../../src/core/endpoint.ts";
import type { TimelineEvent } from "../../../src/observe/event.ts";
import { ejectionText, endpointsText, eventText } from "../../../src/observe/status/wording.ts";
import {
  emergencyLogin,
  endpointChanged,
  endpointEjected,
  htpasswdLoaded,
  reloaded,
  STARTED,
  workerDied,
} from "../../support/events.ts";

t.test("in words: what is for everybody names no person, file or address", async (t) => {
  const override = { route: "sso", mode: "fallback", user: "root" } as const;
  const rows: readonly { event: TimelineEvent; text: string; detail?: string; tone: string }[] = [
    { event: STARTED, text: "sparekey started", tone: "plain" },
    {
      event: { kind: "fallback_began", route: "sso", mode: "basic-auth", reason: "refused" },
      text: "Fallback began (basic-auth): the upstream refuses connections",
      tone: "bad",
    },
    {
      event: {
        kind: "fallback_ended",
        route: "sso",
        mode: "allow",
        reason: "dns",
        seconds: 3_725.4,
        checks: 12_345,
        omitted: 0,
        isProven: true,
      },
      text: "Fallback ended (allow) after 1 h 2 min and 12,345 checks",
      tone: "good",
    },
    {
      event: { kind: "breaker_opened", route: "sso", reason: "status_503" },
      text: "Breaker opened: the upstream answers 503",
      tone: "bad",
    },
    { event: { kind: "breaker_opened", route: "sso", reason: null }, text: "Breaker opened", tone: "bad" },
    {
      event: { kind: "breaker_closed", route: "sso", seconds: 59.9 },
      text: "Breaker closed after 59 s",
      tone: "good",
    },
    {
      event: emergencyLogin("eve"),
      text: "Emergency login",
      detail: "Emergency login of eve",
      tone: "warn",
    },
    {
      event: { kind: "override", change: { kind: "begins", ...override, seconds: 1_800, reason: "drill" } },
      text: "Override to fallback for 30 min: “drill”",
      detail: "Override to fallback for 30 min by root: “drill”",
      tone: "warn",
    },
    {
      event: { kind: "override", change: { kind: "begins", ...override, seconds: 60, reason: null } },
      text: "Override to fallback for 1 min",
      detail: "Override to fallback for 1 min by root",
      tone: "warn",
    },
    {
      event: { kind: "override", change: { kind: "ended", ...override, by: "person" } },
      text: "Override to fallback ended: by hand",
      detail: "Override to fallback ended: by hand (root)",
      tone: "plain",
    },
    {
      event: { kind: "override", change: { kind: "ended", ...override, by: "expiry", user: null } },
      text: "Override to fallback ended: its time is over",
      tone: "plain",
    },
    { event: reloaded(), text: "Config reloaded", tone: "good" },
    {
      event: reloaded(["workers: it stays 2"]),
      text: "Config reloaded, but not all of it; workers: it stays 2",
      tone: "warn",
    },
    {
      event: { kind: "reload_refused", problems: ["/etc/a.yaml:1:9 routes: value 5 is not a list"] },
      text: "Config refused, the one in use stays: 1 problem, see the log",
      detail:
        "Config refused, the one in use stays: 1 problem. /etc/a.yaml:1:9 routes: value 5 is not a list",
      tone: "bad",
    },
    {
      event: htpasswdLoaded("/etc/h", 3),
      text: "htpasswd loaded: 3 users",
      detail: "htpasswd loaded: 3 users (/etc/h)",
      tone: "plain",
    },
    {
      event: htpasswdLoaded("/etc/h", 0, 1),
      text: "htpasswd loaded: 0 users, 1 bad line ignored",
      detail: "htpasswd loaded: 0 users, 1 bad line ignored (/etc/h)",
      tone: "bad",
    },
    {
      event: { kind: "htpasswd_unreadable", file: "/etc/h", problem: "no such file" },
      text: "An htpasswd file is unreadable: nobody can log in by it",
      detail: "An htpasswd file is unreadable: nobody can log in by it. /etc/h: no such file",
      tone: "bad",
    },
    {
      event: {
        kind: "notify",
        delivery: { kind: "failing", origin: "http://inner", entry: 1, reason: "dns" },
      },
      text: "Messages to notify[1] do not get through: dns",
      detail: "Messages to notify[1] do not get through: dns (http://inner)",
      tone: "warn",
    },
    {
      event: {
        kind: "notify",
        delivery: { kind: "given_up", origin: "http://inner", entry: 0, reason: "dns", lost: 2 },
      },
      text: "2 messages to notify[0] given up: dns",
      detail: "2 messages to notify[0] given up: dns (http://inner)",
      tone: "bad",
    },
    {
      event: { kind: "probe_proven", route: "sso", verdict: "challenge" },
      text: "The probe is proven: its results can be believed",
      tone: "good",
    },
    {
      event: { kind: "probe_unproven", route: "sso" },
      text: "The probe is no longer proven: the upstream answers it otherwise",
      tone: "warn",
    },
    {
      event: { kind: "probe_refused", route: "sso", status: 400 },
      text: "Probes are answered 400: set probe.hosts to a host that the upstream knows",
      tone: "warn",
    },
    {
      event: { kind: "logins_failing", route: "login", failed: 1_200, addresses: 4 },
      text: "Logins fail: 1,200 from 4 addresses, and none went well in 10 minutes",
      tone: "bad",
    },
    {
      event: { kind: "logins_failing_ended", route: "login", seconds: 600, wentWell: true },
      text: "A login went well again after 10 min",
      tone: "good",
    },
    {
      event: { kind: "logins_failing_ended", route: "login", seconds: 600, wentWell: false },
      text: "Fewer logins fail after 10 min, and none went well",
      tone: "plain",
    },
    { event: workerDied(2), text: "Worker 2 died", tone: "bad" },
    {
      event: endpointEjected("10.0.3.7:9000"),
      text: "An endpoint is not asked any more: it refuses connections",
      detail: "10.0.3.7:9000 is not asked any more: it refuses connections",
      tone: "warn",
    },
    {
      event: endpointChanged({
        kind: "ejected",
        endpoint: "10.0.3.7:9000",
        from: "cookieless",
        reason: "bare_400",
      }),
      text: "An endpoint is not asked any more for checks without a cookie: it answers empty 400s",
      detail: "10.0.3.7:9000 is not asked any more for checks without a cookie: it answers empty 400s",
      tone: "warn",
    },
    {
      event: endpointChanged({ kind: "restored", endpoint: "10.0.3.7:9000", from: "all", seconds: 12.3 }),
      text: "An endpoint is asked again after 12 s",
      detail: "10.0.3.7:9000 is asked again after 12 s",
      tone: "good",
    },
    {
      event: endpointChanged({
        kind: "restored",
        endpoint: "10.0.3.7:9000",
        from: "cookieless",
        seconds: 60,
      }),
      text: "An endpoint is asked again for checks without a cookie after 1 min",
      detail: "10.0.3.7:9000 is asked again for checks without a cookie after 1 min",
      tone: "good",
    },
    {
      event: endpointChanged({ kind: "joined", endpoint: "10.0.3.9:9000" }),
      text: "The upstream's name has a new address",
      detail: "The upstream's name now has the address 10.0.3.9:9000",
      tone: "plain",
    },
    {
      event: endpointChanged({ kind: "left", endpoint: "10.0.3.9:9000" }),
      text: "The upstream's name has lost an address",
      detail: "The upstream's name no longer has the address 10.0.3.9:9000",
      tone: "plain",
    },
  ];
  for (const { event, text, detail = text, tone } of rows)
    t.same(eventText(event), { text, detail, tone }, text);
});

t.test("how many endpoints answer", async (t) => {
  const rows: readonly {
    name: string;
    all: number;
    ejected?: number;
    cookieless?: number;
    says: string | null;
  }[] = [
    { name: "none is known", all: 0, says: null },
    { name: "the only one", all: 1, says: null },
    {
      name: "the only one, without a cookie",
      all: 1,
      cookieless: 1,
      says: "1 of 1 endpoint answers, 1 only checks with a cookie",
    },
    { name: "all", all: 3, says: "3 of 3 endpoints answer" },
    { name: "not all", all: 3, ejected: 1, says: "2 of 3 endpoints answer" },
    { name: "one", all: 3, ejected: 2, says: "1 of 3 endpoints answers" },
    {
      name: "some",
      all: 4,
      ejected: 1,
      cookieless: 1,
      says: "3 of 4 endpoints answer, 1 only checks with a cookie",
    },
  ];
  for (const { name, all, ejected = 0, cookieless = 0, says } of rows)
    t.equal(endpointsText({ all, ejected, ejectedCookieless: cookieless }), says, name);
});

t.test("why an endpoint is not asked", async (t) => {
  const rows: readonly { reason: EjectionReason; says: string }[] = [
    { reason: "refused", says: "it refuses connections" },
    { reason: "unreachable", says: "there is no way to it" },
    { reason: "tls", says: "there is no TLS connection to it" },
    { reason: "dns", says: "its name cannot be resolved" },
    { reason: "status_503", says: "it answers 503" },
    { reason: "login_down", says: "the login page that it redirects to is down" },
    { reason: "slow", says: "it is far slower than the others" },
  ];
  for (const { reason, says } of rows)
    t.equal(
      ejectionText("a:1", { from: "all", reason }, "12:04:05"),
      `a:1 has not been asked since 12:04:05: ${says}`,
    );
  t.equal(
    ejectionText("a:1", { from: "cookieless", reason: "bare_400" }, "12:04:05"),
    "a:1 has not been asked for checks without a cookie since 12:04:05: it answers empty 400s",
  );
});
