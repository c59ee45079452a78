/** The oracle of `npm run faults` must be able to say "wrong": each row is a reply that would be a real defect. */
import t from "tap";
import { type Client, MARK, type UpstreamAnswer, VERDICTS } from "../../bench/faults/answers.ts";
import { CROWD_SCENES } from "../../bench/faults/crowd-scenes.ts";
import { FIELD_SCENES } from "../../bench/faults/field-scenes.ts";
import { isWrong } from "../../bench/faults/figures.ts";
import { metricProblems } from "../../bench/faults/metrics.ts";
import {
  type Fault,
  isRight,
  kindOf,
  type Mode,
  type Moment,
  type SeenReply,
} from "../../bench/faults/oracle.ts";
import { SCENES as SINGLE_SCENES } from "../../bench/faults/scenes.ts";

const SCENES = [...SINGLE_SCENES, ...CROWD_SCENES, ...FIELD_SCENES];
const NO_STORE = { "cache-control": "no-store" };
const BOX = { "www-authenticate": 'Basic realm="Emergency Access", charset="UTF-8"' };
const CLEARED = {
  "x-authentik-uid": "",
  "x-authentik-email": "",
  "x-authentik-name": "",
  "x-authentik-groups": "",
};

const LET_THROUGH = reply(200, { "x-auth-fallback": "allow" });
const ASKED = reply(401, { "x-auth-fallback": "basic-auth", ...BOX }, "page");
const LOGGED_IN = reply(200, {
  "x-auth-fallback": "basic-auth",
  "x-authentik-username": "admin",
  ...CLEARED,
});
const DENIED = reply(503, { "x-auth-fallback": "deny", "retry-after": "10" }, "page");
const BAD_GATEWAY = reply(502, {}, "Bad Gateway\n");
const TO_LOGIN = reply(302, { location: "https://app.example.com/", "set-cookie": "authentik_proxy_1=x" });
const SHED = reply(503, { "retry-after": "1" }, "Too many checks at once\n");

interface Row {
  readonly name: string;
  readonly fault: string;
  readonly mode: Mode;
  readonly client: Client;
  readonly moment: Moment;
  readonly reply: SeenReply;
}

const RIGHT: readonly Row[] = [
  row("allow under a fault", "refused", "allow", "visitor", "closed", LET_THROUGH),
  row("login page under a fault", "hang", "basic-auth", "visitor", "closed", ASKED),
  row("login page for a wrong password", "hang", "basic-auth", "guesser", "open", ASKED),
  row("emergency login", "hang", "basic-auth", "admin", "open", LOGGED_IN),
  row("deny", "reset-in-body", "deny", "member", "open", DENIED),
  row("none, no answer", "garbage", "none", "member", "closed", BAD_GATEWAY),
  row("none, its own answer", "status-503", "none", "visitor", "closed", own("status-503")),
  row("none, its own answer to a live trial", "status-503", "none", "visitor", "open", own("status-503")),
  row("none, while open", "status-503", "none", "visitor", "open", BAD_GATEWAY),
  row("a session through a full store", "bare-400", "allow", "member", "closed", verdict("member")),
  row("a JSON 400 to one client", "json-400-to-one", "allow", "banned", "closed", own("json-400-to-one")),
  row("a JSON 400 to everybody", "json-400", "allow", "visitor", "closed", LET_THROUGH),
  row("it cannot be told", "status-503-from-the-start", "allow", "visitor", "closed", SHED),
  row(
    "the login, where it cannot be told",
    "status-500-from-the-start",
    "basic-auth",
    "visitor",
    "closed",
    ASKED,
  ),
  row("nobody ever answers", "hang-from-the-start", "allow", "visitor", "closed", LET_THROUGH),
  row("a bot in a flood", "flood", "allow", "crowd", "closed", reply(403, { "cache-control": "no-store" })),
  row("a bystander of a flood", "flood", "allow", "visitor", "closed", reply(200, {})),
  row("a store that is full", "outpost-2025.6-store-full", "basic-auth", "visitor", "closed", ASKED),
  row("a full store of Rust", "outpost-2026.8-store-full-not-seen", "deny", "visitor", "closed", TO_LOGIN),
  row("a bouncer that is broken", "bouncer-error", "allow", "member", "open", LET_THROUGH),
  row("healed before the probe", "hang", "allow", "visitor", "recovering", BAD_GATEWAY),
  row(
    "healed before the probe, with an answer",
    "status-500",
    "deny",
    "visitor",
    "recovering",
    own("status-500"),
  ),
  row("healed", "hang", "deny", "banned", "recovering", verdict("banned")),
  row("our own limits", "hang", "allow", "visitor", "closed", SHED),
];

const WRONG: readonly Row[] = [
  row("allow while all is well", "refused", "allow", "visitor", "healthy", LET_THROUGH),
  row("a login while all is well", "refused", "basic-auth", "admin", "healthy", LOGGED_IN),
  row("allow in another mode", "refused", "deny", "visitor", "open", LET_THROUGH),
  row("allow for a banned client in mode none", "status-500", "none", "banned", "closed", LET_THROUGH),
  row("a login without a password", "hang", "basic-auth", "visitor", "open", LOGGED_IN),
  row("a login with a wrong password", "hang", "basic-auth", "guesser", "open", LOGGED_IN),
  row("a login in mode deny", "hang", "deny", "admin", "open", LOGGED_IN),
  row("the admin refused", "hang", "basic-auth", "admin", "open", ASKED),
  row("a fallback for a session", "bare-400", "basic-auth", "member", "closed", ASKED),
  row("a fallback for one client's JSON 400", "json-400-to-one", "allow", "banned", "closed", LET_THROUGH),
  row(
    "allow where it cannot be told",
    "status-503-from-the-start",
    "allow",
    "visitor",
    "closed",
    LET_THROUGH,
  ),
  row("a bot let in by a flood", "flood", "allow", "crowd", "closed", LET_THROUGH),
  row("a bystander who falls back", "flood", "allow", "visitor", "closed", LET_THROUGH),
  row("a login page of a busy server", "busy", "basic-auth", "crowd", "closed", ASKED),
  row("a nameless allow", "outpost-2025.10-store-full", "deny", "visitor", "closed", reply(200, {})),
  row("a login without its cookie", "outpost-2025.6-store-full", "deny", "visitor", "closed", {
    ...TO_LOGIN,
    headers: { location: "https://app.example.com/" },
  }),
  row("a proxy error while it hangs", "hang", "allow", "visitor", "closed", BAD_GATEWAY),
  row("a fallback for an HTTP/1.0 answer", "http-1.0-close", "allow", "visitor", "closed", LET_THROUGH),
  row("a fault status relayed", "status-503", "allow", "visitor", "closed", own("status-503")),
  row("a bare 400 relayed", "bare-400", "basic-auth", "visitor", "closed", own("bare-400")),
  row("a dead login's redirect", "login-dead", "basic-auth", "visitor", "closed", verdict("visitor")),
  row("somebody else's verdict", "hang", "allow", "visitor", "recovering", verdict("member")),
  row("the session's verdict for the banned", "hang", "allow", "banned", "healthy", verdict("member")),
  row("a plain 200", "hang", "allow", "visitor", "open", reply(200, {})),
  row("allow that may be stored", "hang", "allow", "visitor", "open", {
    ...LET_THROUGH,
    headers: { "x-auth-fallback": "allow" },
  }),
  row("allow with an identity", "hang", "allow", "visitor", "open", {
    ...LET_THROUGH,
    headers: { ...LET_THROUGH.headers, "x-authentik-username": "admin" },
  }),
  row("a login that leaves an identity", "hang", "basic-auth", "admin", "open", {
    ...LOGGED_IN,
    headers: { ...LOGGED_IN.headers, "x-authentik-groups": undefined },
  }),
  row("a 401 without the login box", "hang", "basic-auth", "visitor", "open", {
    ...ASKED,
    headers: { "x-auth-fallback": "basic-auth", ...NO_STORE },
  }),
  row("deny without Retry-After", "hang", "deny", "visitor", "open", {
    ...DENIED,
    headers: { "x-auth-fallback": "deny", ...NO_STORE },
  }),
  row("half an answer", "truncated", "none", "visitor", "closed", {
    status: 200,
    headers: { [MARK.name.toLowerCase()]: MARK.value },
    body: "half",
  }),
  row("an upstream that claims a fallback", "hang", "allow", "visitor", "open", {
    ...LET_THROUGH,
    headers: { ...LET_THROUGH.headers, [MARK.name.toLowerCase()]: MARK.value },
  }),
];

t.test("replies that are right", async (t) => {
  for (const row of RIGHT) t.ok(judge(row), row.name);
});

t.test("replies that are wrong", async (t) => {
  for (const row of WRONG) t.notOk(judge(row), row.name);
});

t.test("when a reply is right", async (t) => {
  const round = {
    begin: 1_000,
    begun: 1_010,
    opened: new Map<Mode, number>([["allow", 2_000]]),
    heal: 5_000,
    healed: 5_010,
    closed: new Map<Mode, number>([["allow", 6_000]]),
  };
  const scene = SCENES.find(({ fault }) => fault.name === "hang");
  if (scene === undefined) throw new Error("there is no hang");
  const at = (kind: "allow" | "verdict" | "shed", sent: number, done: number) =>
    isWrong({ mode: "allow", client: "visitor", sent, done, kind, text: "" }, { scene, rounds: [round] });
  t.ok(at("allow", 900, 950), "before the fault");
  t.notOk(at("verdict", 900, 950));
  t.notOk(at("allow", 900, 1_500), "sent before, replied under it");
  t.ok(at("verdict", 1_500, 1_600), "a verdict of a dead upstream");
  t.notOk(at("allow", 5_500, 5_501), "while it recovers");
  t.notOk(at("verdict", 5_500, 5_501));
  t.ok(at("allow", 6_100, 6_101), "after it closed");
  t.notOk(at("shed", 1_500, 2_100), "it cannot be told yet");
  t.ok(at("shed", 3_500, 3_600), "it must be told by now");
});

t.test("counters that do not tell what was seen", async (t) => {
  const fault = faultOf("refused");
  const seen = [
    { mode: "allow", client: "visitor", kind: "allow" },
    { mode: "deny", client: "visitor", kind: "verdict" },
  ] as const;
  const states = ["allow", "basic-auth", "deny", "none"].map(
    (route) => `sparekey_breaker_state{route="${route}",state="closed"} 1`,
  );
  const good = [
    'sparekey_fallback_total{route="allow",mode="allow",reason="refused",result="allowed"} 1',
    'sparekey_checks_total{route="allow",source="fallback",verdict="allow"} 1',
    'sparekey_checks_total{route="deny",source="upstream",verdict="challenge"} 1',
    ...states,
  ];
  const problems = (lines: readonly string[]) => metricProblems(lines.join("\n"), fault, seen);
  t.same(problems(good), []);
  t.match(problems(good.slice(1)), [
    /sparekey_fallback_total.* is 0, and clients saw 1/,
    /no fallback for refused/,
  ]);
  t.match(problems(good.slice(0, -1)), [/sparekey_breaker_state.* is 0, and clients saw 1/]);
  t.match(problems([...good, 'sparekey_checks_total{route="none",source="shed",verdict="deny"} 2']), [
    /sparekey_checks_total.*shed.* is 2, and clients saw 0/,
  ]);
  t.match(problems(good.map((line) => line.replace("refused", "tls"))), [
    /for tls/,
    /no fallback for refused/,
  ]);
});

function judge({ fault, mode, client, moment, reply }: Row): boolean {
  const data = faultOf(fault);
  return isRight(kindOf(reply, client, data), data, mode, client, [moment]);
}

function faultOf(name: string): Fault {
  const scene = SCENES.find(({ fault }) => fault.name === name);
  if (scene === undefined) throw new Error(`there is no ${name}`);
  return scene.fault;
}

function own(fault: string): SeenReply {
  const { answer } = faultOf(fault);
  if (answer === null || "statuses" in answer) throw new Error(`${fault} has no answer of its own`);
  return relayed(answer);
}

function verdict(client: Client): SeenReply {
  return relayed(VERDICTS[client]);
}

function relayed({ status, headers, body }: UpstreamAnswer): SeenReply {
  const lower = Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]);
  return { status, headers: Object.fromEntries(lower), body };
}

function reply(status: number, headers: SeenReply["headers"], body = ""): SeenReply {
  return { status, headers: { ...NO_STORE, ...headers }, body };
}

function row(name: string, fault: string, mode: Mode, client: Client, moment: Moment, reply: SeenReply): Row {
  return { name, fault, mode, client, moment, reply };
}
