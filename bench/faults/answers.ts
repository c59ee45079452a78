/** What the clients of the bench send, and what its healthy upstream answers to each of them. */

/**
 * What a client sends: `visitor`: nothing; `member`: a session; `banned`: a session without rights; `admin`: the
 * emergency password; `guesser`: a wrong password.
 */
export const CLIENTS = ["visitor", "member", "banned", "admin", "guesser"] as const;
/** `crowd`: one of many who come beside them, each from an address of its own or all from one. */
export type Client = (typeof CLIENTS)[number] | "crowd";

export interface UpstreamAnswer {
  readonly status: number;
  readonly statusText: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** What an answer has that is not the same each time, as those of the demo's stand-ins. */
export interface AnswerShape {
  readonly statuses: readonly number[];
  /** Names in lower case. */
  readonly has: readonly string[];
  readonly lacks: readonly string[];
}

export function shape(
  statuses: readonly number[],
  has: readonly string[] = [],
  lacks: readonly string[] = [],
): AnswerShape {
  return { statuses, has, lacks };
}

/** A header that is on every answer of the upstream, and on no other reply. */
export const MARK = { name: "X-Upstream", value: "stand-in" } as const;

/** The host that all checks are about. */
export const HOST = "app.example.com";

export const ADMIN = {
  user: "admin",
  password: "right",
  /** {SHA} is fast, so that the bench does not measure the hash. */
  htpasswd: "admin:{SHA}0nofEXcSAJSXFLGvmfBIpBb11vQ=\n",
} as const;

const TO_LOGIN = answer(302, "Found", "", {
  Location: "http://login.example.com/authorize?client_id=app",
  "Set-Cookie": "authentik_proxy_0a1b2c3d=state; Path=/; HttpOnly",
});

/** Emergency credentials never reach an upstream, so it takes their sender for a visitor. */
export const VERDICTS: Readonly<Record<Client, UpstreamAnswer>> = {
  visitor: TO_LOGIN,
  member: answer(200, "OK", "", { "X-authentik-username": "mia" }),
  banned: answer(403, "Forbidden", "not for you\n", {}),
  admin: TO_LOGIN,
  guesser: TO_LOGIN,
  crowd: TO_LOGIN,
};

const SENT: Readonly<Record<Client, Readonly<Record<string, string>>>> = {
  visitor: {},
  member: { Cookie: "session=member" },
  banned: { Cookie: "session=banned" },
  admin: { Authorization: basic(ADMIN.password) },
  guesser: { Authorization: basic("wrong") },
  crowd: {},
};

/** Headers of a check, as a gateway sends them. */
export function headersOf(client: Client): Readonly<Record<string, string>> {
  const gateway = {
    "X-Forwarded-Host": HOST,
    "X-Forwarded-Proto": "https",
    "X-Forwarded-Method": "GET",
    "X-Forwarded-Uri": "/page",
    "X-Forwarded-For": "192.0.2.7",
  };
  return { ...gateway, ...SENT[client] };
}

/** The client that the upstream sees in this head. */
export function clientOf(head: string): "visitor" | "member" | "banned" {
  const session = /^cookie: session=(member|banned)\r$/im.exec(head)?.[1];
  return session === "member" || session === "banned" ? session : "visitor";
}

export function answer(
  status: number,
  statusText: string,
  body: string,
  headers: Readonly<Record<string, string>>,
): UpstreamAnswer {
  return { status, statusText, headers: { [MARK.name]: MARK.value, ...headers }, body };
}

/** The bytes of an answer. `version` 1.0: it has no length and ends with the connection. */
export function bytesOf({ status, statusText, headers, body }: UpstreamAnswer, version = "1.1"): string {
  const length = version === "1.0" ? {} : { "Content-Length": String(Buffer.byteLength(body)) };
  const lines = Object.entries({ ...headers, ...length }).map(([name, value]) => `${name}: ${value}\r\n`);
  return `HTTP/${version} ${status} ${statusText}\r\n${lines.join("")}\r\n${body}`;
}

function basic(password: string): string {
  return `Basic ${Buffer.from(`${ADMIN.user}:${password}`).toString("base64")}`;
}
