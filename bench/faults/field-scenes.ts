/**
 * The servers that sparekey is made for, by the stand-ins of the demo, in each state in which they are known to fail,
 * with the settings of their presets. What no check can show is here too: the reply that comes is then the upstream's.
 */
import { startAuthelia } from "../../src/demo/authelia.ts";
import { startBotBlocker } from "../../src/demo/bot-blocker.ts";
import { startOAuth2Proxy } from "../../src/demo/oauth2-proxy.ts";
import { type Outpost, startOutpost } from "../../src/demo/outpost.ts";
import { outpostUser } from "../../src/demo/outpost-identity.ts";
import type { OutpostState, OutpostVersion } from "../../src/demo/outpost-versions.ts";
import { outpostPrefix } from "../../src/demo/outpost-visit.ts";
import { type AnswerShape, type Client, HOST, headersOf, shape } from "./answers.ts";
import { type FaultData, plainly, type Scene, type Staged, scene } from "./scenes.ts";

const PER_SECOND = 20;
const LASTS_MS = 2_600;
const TRAEFIK = `${outpostPrefix}auth/traefik`;
const NGINX = `${outpostPrefix}auth/nginx`;
const READY = "/-/health/ready/";
const CLIENTS: readonly Client[] = ["visitor", "member", "admin", "guesser"];

type Verdicts = Scene["fault"]["verdicts"];
type Said = Pick<FaultData, "row" | "answer" | "hits" | "reasons" | "isSilent">;

const NAMED = shape([200], ["x-authentik-username"]);
const NAMELESS = shape([200], [], ["x-authentik-username"]);
const TO_LOGIN = shape([302], ["location", "set-cookie"]);
const TO_LOGIN_WITHOUT_COOKIE = shape([302], ["location"], ["set-cookie"]);
const BARE_400 = shape([400], [], ["set-cookie"]);
const UNAUTHORIZED = shape([401]);
const JSON_400 = shape([400], ["content-type"]);

const OUTPOST_VERDICTS = verdictsOf(NAMED, TO_LOGIN);

const UNSEEN: Said = { row: "fine", reasons: [] };
const LOGIN_DOWN: Said = { row: "login", hits: "cookie-less", reasons: ["login_down"] };

export const FIELD_SCENES: readonly Scene[] = [
  outpost("2025.6", "store-full", unexpected(TO_LOGIN_WITHOUT_COOKIE)),
  outpost("2025.10", "store-full", unexpected(NAMELESS)),
  outpost("2026.2", "store-full", { ...unexpected(BARE_400), reasons: ["bare_400"] }),
  outpost("2026.2", "no-providers", refusal(JSON_400, "status_400")),
  outpost("2026.2", "logins-hang", {
    row: 2,
    hits: "cookie-less",
    isSilent: true,
    reasons: ["read_timeout"],
  }),
  outpost("2026.2", "core-down", LOGIN_DOWN),
  outpost("2026.2", "core-hangs", { ...LOGIN_DOWN, isSilent: true }),
  behindNginx(),
  outpost("embedded", "store-full", { ...unexpected(BARE_400), reasons: ["bare_400"] }),
  outpost("embedded", "store-unreadable", {
    ...{ row: 3, answer: shape([302, 400], [], ["x-authentik-username"]), hits: "all" },
    reasons: ["bare_400", "unexpected", "login_down"],
  }),
  outpost("embedded", "database-hangs", { row: 2, hits: "all", isSilent: true, reasons: ["read_timeout"] }),
  outpost("embedded", "no-providers", refusal(shape([404], ["content-type"]), "status_404")),
  outpost("embedded", "core-down", LOGIN_DOWN),
  outpost("2026.8", "store-full", UNSEEN),
  outpost("2026.8", "store-unreadable", { ...UNSEEN, answer: TO_LOGIN }),
  outpost("2026.8", "no-providers", refusal(JSON_400, "status_400")),
  authelia("store-dead", { row: 3, answer: shape([302, 401], [], ["set-cookie"]), reasons: ["unexpected"] }),
  authelia("store-hung", { row: 2, isSilent: true, reasons: ["read_timeout"] }),
  oauth2Proxy("redis-refused", { row: "login", answer: UNAUTHORIZED, reasons: ["login_down"] }),
  oauth2Proxy("provider-dead", UNSEEN),
  bouncer(),
];

/** Nobody without a session is answered as a healthy one would. */
function unexpected(answer: AnswerShape): Said {
  return { row: 3, answer, hits: "cookie-less", reasons: ["unexpected"] };
}

function refusal(answer: AnswerShape, reason: string): Said {
  return { row: 3, answer, hits: "all", reasons: [reason] };
}

function field(name: string, said: Said, verdicts: Verdicts, stage: Scene["stage"]): Scene {
  const suffix = said.row === "fine" ? "-not-seen" : "";
  const made = scene({ ...said, name: `${name}${suffix}`, verdicts }, stage);
  return { ...made, clients: CLIENTS, perSecond: PER_SECOND, lastsMs: LASTS_MS, rounds: 1 };
}

function outpost(version: OutpostVersion, state: OutpostState, said: Said): Scene {
  return field(`outpost-${version}-${state}`, said, OUTPOST_VERDICTS, async () => {
    const standIn = await startOutpost({ port: 0, hosts: [HOST], version });
    return {
      ...failing(standIn, state),
      ...{ path: TRAEFIK, settings: ["preset: authentik"] },
      headersOf: withSession(await signIn(standIn)),
      loginHealth: `${standIn.url}${READY}`,
    };
  });
}

/** nginx gets the same 401 from a full store as from a healthy one. */
function behindNginx(): Scene {
  const verdicts = verdictsOf(NAMED, UNAUTHORIZED);
  return field("outpost-2026.2-nginx-store-full", UNSEEN, verdicts, async () => {
    const standIn = await startOutpost({ port: 0, hosts: [HOST], version: "2026.2" });
    const withCookie = withSession(await signIn(standIn));
    return {
      ...failing(standIn, "store-full"),
      ...{ path: NGINX, settings: ["preset: authentik"] },
      headersOf: (client) => ({ ...withCookie(client), "X-Original-URL": `https://${HOST}/page` }),
    };
  });
}

function authelia(state: "store-dead" | "store-hung", said: Said): Scene {
  const verdicts = verdictsOf(shape([200], ["remote-user"]), shape([302, 401], ["set-cookie"]));
  return field(`authelia-${state}`, said, verdicts, async () => {
    const standIn = await startAuthelia({ port: 0 });
    return {
      ...failing(standIn, state),
      ...{ path: "/api/authz/forward-auth", settings: ["preset: authelia"] },
      headersOf: withSession(standIn.session),
    };
  });
}

function oauth2Proxy(state: "redis-refused" | "provider-dead", said: Said): Scene {
  const verdicts = verdictsOf(shape([202], ["x-auth-request-user"]), UNAUTHORIZED);
  return field(`oauth2-proxy-${state}`, said, verdicts, async () => {
    const standIn = await startOAuth2Proxy({ port: 0 });
    return {
      ...failing(standIn, state),
      ...{ path: "/oauth2/auth", settings: ["preset: oauth2-proxy"] },
      headersOf: withSession(standIn.session),
      loginHealth: `${standIn.url}/ready`,
    };
  });
}

/** A bouncer that refuses everybody because it is broken, and says so: an operator can name that answer. */
function bouncer(): Scene {
  const passed = shape([200]);
  const said = { row: 2, answer: shape([403], ["x-bouncer-error"]), reasons: ["status_403"] } as const;
  return field("bouncer-error", said, verdictsOf(passed, passed), async () => {
    const standIn = await startBotBlocker({ port: 0 });
    return {
      ...failing(standIn, "bouncer-error"),
      path: "/auth",
      // Nothing here is about the number of connections.
      settings: [
        "preset: bot-block",
        "maxConnections: 64",
        "fault: { match: [{ status: 403, header: X-Bouncer-Error }] }",
      ],
      headersOf: (client) => ({ ...headersOf(client), "User-Agent": "Mozilla/5.0" }),
    };
  });
}

interface Failing<State extends string> {
  readonly url: string;
  setFault(state: State | "ok"): Promise<void>;
  close(): Promise<void>;
}

function failing<State extends string>(standIn: Failing<State>, state: State): Staged {
  return {
    ...plainly(standIn.url),
    begin: () => standIn.setFault(state),
    heal: () => standIn.setFault("ok"),
    close: () => standIn.close(),
  };
}

function verdictsOf(member: AnswerShape, stranger: AnswerShape): Verdicts {
  return {
    ...{ visitor: stranger, admin: stranger, guesser: stranger, crowd: stranger },
    ...{ member, banned: member },
  };
}

/** What a browser says of itself, which decides how Authelia challenges and an embedded outpost compresses. */
const BROWSER = { Accept: "text/html,*/*;q=0.8", "Accept-Encoding": "gzip, deflate" };

function withSession(cookie: string): Staged["headersOf"] {
  return (client) => {
    const more: Readonly<Record<string, string>> = client === "member" ? { Cookie: cookie } : {};
    return { ...headersOf(client), ...BROWSER, ...more };
  };
}

/** Goes the outpost's login, as a browser would. Resolves with the cookie of the session. */
async function signIn({ url }: Outpost): Promise<string> {
  const visit = (target: string, init: RequestInit = {}): Promise<Response> =>
    fetch(target.replace(`http://${HOST}`, url), {
      redirect: "manual",
      ...init,
      headers: { "X-Forwarded-Proto": "http", "X-Forwarded-Host": HOST, ...init.headers },
    });
  const begun = await visit(`${url}${TRAEFIK}`);
  const body = new URLSearchParams({ user: outpostUser.name, password: outpostUser.password });
  const granted = await visit(begun.headers.get("location") ?? "", { method: "POST", body });
  const done = await visit(granted.headers.get("location") ?? "", { headers: { Cookie: cookieOf(begun) } });
  return cookieOf(done);
}

function cookieOf(answer: Response): string {
  return answer.headers.getSetCookie()[0]?.split(";")[0] ?? "";
}
