/** Checks by chance, the same in every run: as gateways write them, and in every other way that HTTP allows. */
import { type Draws, draws } from "../support/draws.ts";
import { basic } from "../support/fixtures.ts";
import type { Case } from "./both-paths.ts";

export type Mode = "allow" | "basic" | "deny" | "none";
export const MODES: readonly [Mode, ...Mode[]] = ["allow", "basic", "deny", "none"];

const EMERGENCY = basic("eve", "emergency");

/** Methods of checks without a body. */
const METHODS: readonly [string, ...string[]] = [
  "GET",
  "GET",
  "GET",
  "GET",
  "HEAD",
  "OPTIONS",
  "DELETE",
  "PROPFIND",
];

const TARGETS: readonly [string, ...string[]] = [
  "",
  "",
  "",
  "?x=1",
  "?q=/a/../b",
  "?q=%20%zz&r=%00",
  "?",
  "/",
  "//two",
  "/deep/er?x=1?y=2",
  "/;a=b,c",
  "/~!$&'()*+:@|\"<>^`{}\\",
  `?${"long=target&".repeat(700)}`,
  "/%2e%2e/x",
  "/../x",
  "/..;/x",
  "?x#y",
  "/caf\xe9",
];

/** As gateways write them: nothing about these keeps a check from the wire. */
const PLAIN_LINES: readonly [string, ...string[]] = [
  "X-Forwarded-Host: app.example",
  "X-Forwarded-For: 192.0.2.7",
  "X-Forwarded-Proto: https",
  "X-Forwarded-Uri: /page?a=b",
  "X-Forwarded-Method: POST",
  "User-Agent: Mozilla/5.0 (X11; Linux x86_64)",
  "Accept: */*",
  "accept-encoding: gzip",
  "Cookie: a=b; c=d",
  `Cookie: authentik_proxy=${"c".repeat(16 * 1024)}`,
  "Cookie: second=1",
  "X-Empty: ",
  "X-SPELLED-oDdLy: 1",
  "X-Latin: caf\xe9",
  "X-Utf8: caf\xc3\xa9",
  "X-Every: \x80\xa0\xff",
  "X-Tab: a\tb",
  "X-Colon: a: b: c",
  "Referer: https://app.example/?x=1",
  "If-None-Match: *",
  "Range: bytes=0-0",
  "Sec-Fetch-Mode: cors",
  "X-Requested-With: XMLHttpRequest",
  "X-Auth-Fallback: allow",
  "Content-Type: text/plain",
  "Forwarded: for=192.0.2.8",
  "X-Real-Ip: 192.0.2.9",
  "Connection: keep-alive",
  "connection: Keep-Alive",
  "Authorization: Bearer token",
  `Authorization: ${basic("alice", "secret")}`,
  `Authorization: ${EMERGENCY}`,
  `AUTHORIZATION: ${basic("eve", "wrong")}`,
  `authorization: basic  ${EMERGENCY.slice("Basic ".length)}`,
  "Authorization: Basic !!!",
  "Authorization: ",
  "TE: trailers",
  "Trailer: X-Sum",
  "Keep-Alive: timeout=5",
  "Proxy-Connection: keep-alive",
  "Proxy-Authorization: Basic eDp5",
  "proxy-authenticate: Basic",
  "X_Forwarded_Host: evil.example",
  "X.Dotted: 1",
  "X!#$%&'*+^`|~: 1",
];

/** Legal, but not as gateways write them. */
const ODD_LINES: readonly [string, ...string[]] = [
  "X-Tight:1",
  "X-Wide:   1",
  "X-Behind: 1  ",
  "X-Tabs:\t1\t",
  "X-Nothing:",
  "X-Blank:   ",
  "Connection: ",
  "Connection: ,",
  "Connection: keep-alive, X-Empty",
  "Connection: cookie, x-forwarded-host, authorization",
  "Connection: X-Latin",
  "Connection:  keep-alive",
  "Content-Length: 0",
  "Expect: 100-continue",
  "Upgrade: websocket",
  "Connection: Upgrade\r\nUpgrade: websocket",
  "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk",
  "Connection: keep-alive\r\nConnection: keep-alive",
  "Connection: keep-alive\r\nconnection: cookie",
];

const HOSTS: readonly [string, ...string[]] = [
  "Host: app.example",
  "Host: app.example:8443",
  "HOST: app.example",
  "hOST: app.example",
  "Host: [2001:db8::1]:80",
];
const ODD_HOSTS: readonly [string, ...string[]] = [
  "Host: ",
  "Host:app.example",
  "Host: a b",
  "Host: [",
  "Host: \xe9",
];

interface Request {
  readonly text: string;
  readonly method: string;
  /** Whether its own words end the connection behind the reply. */
  readonly closes: boolean;
}

/** Without a body. `odd`: may be what only the slow path takes. */
function request(draw: Draws, path: string, odd: boolean): Request {
  const method = odd ? draw.pick(METHODS) : draw.pick(["GET", "GET", "HEAD"]);
  const target = path + draw.pick(odd ? TARGETS : ["", "?x=1", "/deep?a=/b"]);
  const lines = Array.from({ length: draw.below(9) }, () => draw.pick(PLAIN_LINES));
  if (odd) lines.push(...Array.from({ length: 1 + draw.below(2) }, () => draw.pick(ODD_LINES)));
  const closes = draw.chance(0.1);
  if (closes) lines.push(draw.pick(["Connection: close", "connection: Close"]));
  const host = odd && draw.chance(0.15) ? draw.pick(ODD_HOSTS) : draw.pick(HOSTS);
  lines.splice(draw.below(lines.length + 1), 0, host);
  const version = odd && draw.chance(0.1) ? "HTTP/1.0" : "HTTP/1.1";
  return { text: `${method} ${target} ${version}\r\n${lines.join("\r\n")}\r\n\r\n`, method, closes };
}

/** One that ends its connection. */
export function last(path: string): Request {
  const text = `GET ${path}.last HTTP/1.1\r\nHost: app.example\r\nX-Last: 1\r\nConnection: close\r\n\r\n`;
  return { text, method: "GET", closes: true };
}

export const PLAIN_ANSWER = {
  bytes: "HTTP/1.1 200 OK\r\nX-User: eve\r\nx-Odd: caf\xe9\r\nContent-Length: 0\r\n\r\n",
} as const;

/** Single checks, one on each connection; another behind the reply shows whether the connection goes on. */
export function singles(count: number, seed: number): readonly Case[] {
  const draw = draws(seed);
  return Array.from({ length: count }, (_, index) => {
    const id = `single${index}`;
    const path = `/${draw.pick(MODES)}/${id}`;
    const { text, method } = request(draw, path, draw.chance(0.6));
    const steps = [{ pieces: [text], methods: [method] }, lastStep(path)];
    return { id, name: text, steps, answer: PLAIN_ANSWER };
  });
}

/** Two to four in one write; what closes stands at the end only. */
export function pipelines(count: number, seed: number): readonly Case[] {
  const draw = draws(seed);
  return Array.from({ length: count }, (_, index) => {
    const id = `pipeline${index}`;
    const path = `/${draw.pick(MODES)}/${id}`;
    const requests = Array.from({ length: 2 + draw.below(3) }, (_, at) =>
      staying(draw, `${path}.${at}`, draw.chance(0.4)),
    );
    const text = requests.map(({ text }) => text).join("");
    const steps = [{ pieces: [text], methods: requests.map(({ method }) => method) }, lastStep(path)];
    return { id, name: text, steps, answer: PLAIN_ANSWER };
  });
}

/**
 * What ends the connection and what Node's parser refuses (its limit is 32 KiB here), for which Fastify cuts off the
 * replies before it (malformed-corpus.ts has these). And Expect: Node writes its interim reply into the middle of those before.
 */
const NOT_IN_A_ROW =
  / HTTP\/1\.0|upgrade|expect|caf\xe9[^\r]* HTTP|content-length: 0[\s\S]*content-length: 0/i;

export function staying(draw: Draws, path: string, odd: boolean): Request {
  for (;;) {
    const drawn = request(draw, path, odd);
    const isSmall = drawn.text.length < 30_000;
    if (!drawn.closes && isSmall && !NOT_IN_A_ROW.test(drawn.text)) return drawn;
  }
}

/** Bodies, which only the slow path takes, with plain checks around them. */
export function bodies(): readonly Case[] {
  const lengths = ["5\r\n\r\nGET /", "40\r\n\r\nGET /none/stolen HTTP/1.1\r\nHost: a\r\nX: y"];
  const chunks = [
    "0\r\n\r\n",
    "3\r\nabc\r\n0\r\n\r\n",
    "A;x=y\r\n0\r\n\r\nGET /\r\n1\r\nz\r\n0\r\nX-Sum: 1\r\n\r\n",
  ];
  const framed = [
    ...lengths.map((text) => `Content-Length: ${text}`),
    ...chunks.map((text) => `Transfer-Encoding: chunked\r\n\r\n${text}`),
  ];
  return framed.flatMap((body, row) =>
    MODES.flatMap((mode) =>
      ["GET", "POST"].map((method) => carrying(body, `body${row}x${method}x${mode}`, mode, method)),
    ),
  );
}

function carrying(body: string, id: string, mode: Mode, method: string): Case {
  const path = `/${mode}/${id}`;
  const plain = (at: string): string => `GET ${path}.${at} HTTP/1.1\r\nHost: a\r\n\r\n`;
  const text = `${method} ${path}.body HTTP/1.1\r\nHost: a\r\n${body}`;
  const steps = [
    { pieces: [plain("before") + text + plain("behind")], methods: ["GET", method, "GET"] },
    lastStep(path),
  ];
  return { id, name: text, steps, answer: PLAIN_ANSWER };
}

export function lastStep(path: string) {
  return { pieces: [last(path).text], methods: null };
}

const SPLIT: readonly (readonly [
  name: string,
  text: (path: string) => string,
  methods: readonly string[],
])[] = [
  [
    "plain",
    (path) => `GET ${path}?x=1 HTTP/1.1\r\nHost: a\r\nX-Under_Score: 1\r\nCookie: b=c\r\n\r\n`,
    ["GET"],
  ],
  [
    "emergency",
    (path) => `HEAD ${path} HTTP/1.1\r\nAuthorization: ${EMERGENCY}\r\nHost: a\r\nTE: x\r\n\r\n`,
    ["HEAD"],
  ],
  ["odd", (path) => `GET ${path} HTTP/1.1\r\nHost:a\r\nX-Wide:  1 \r\n\r\n`, ["GET"]],
  ["another method", (path) => `OPTIONS ${path} HTTP/1.1\r\nHost: a\r\n\r\n`, ["OPTIONS"]],
  ["HTTP/1.0", (path) => `GET ${path} HTTP/1.0\r\nHost: a\r\n\r\n`, ["GET"]],
  ["a line break in front", (path) => `\r\nGET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`, ["GET"]],
  [
    "two plain ones",
    (path) => `GET ${path}.0 HTTP/1.1\r\nHost: a\r\n\r\nGET ${path}.1 HTTP/1.1\r\nHost: b\r\n\r\n`,
    ["GET", "GET"],
  ],
  [
    "odd behind plain",
    (path) => `GET ${path}.0 HTTP/1.1\r\nHost: a\r\n\r\nDELETE ${path}.1 HTTP/1.1\r\nHost:b\r\n\r\n`,
    ["GET", "DELETE"],
  ],
  [
    "plain behind odd",
    (path) => `PUT ${path}.0 HTTP/1.1\r\nHost: a\r\n\r\nGET ${path}.1 HTTP/1.1\r\nHost: b\r\n\r\n`,
    ["PUT", "GET"],
  ],
  [
    "a body between plain ones",
    (path) =>
      `GET ${path}.0 HTTP/1.1\r\nHost: a\r\n\r\nPOST ${path}.1 HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nGET /GET ${path}.2 HTTP/1.1\r\nHost: a\r\n\r\n`,
    ["GET", "POST", "GET"],
  ],
  [
    "a body in chunks",
    (path) =>
      `POST ${path} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3;x\r\nabc\r\n0\r\nX-Sum: 1\r\n\r\n`,
    ["POST"],
  ],
  ["malformed", (path) => `GET ${path} HTTP/1.1\r\nHost: a\r\nX : b\r\n\r\n`, ["GET"]],
];

/** Cut at every byte, and all bytes singly. */
export function splits(): readonly Case[] {
  return SPLIT.flatMap(([name, textOf, methods], row) => {
    const length = textOf(`/none/split${row}x000`).length;
    return Array.from({ length }, (_, at) => {
      const id = `split${row}x${String(at).padStart(3, "0")}`;
      const path = `/none/${id}`;
      const text = textOf(path);
      const pieces = at === 0 ? [...text] : [text.slice(0, at), text.slice(at)];
      const steps = [{ pieces, methods }, lastStep(path)];
      return { id, name: `${name}, cut at ${at}`, steps, answer: PLAIN_ANSWER };
    });
  });
}

/** The gateway closes its side in the middle of a head, with and without a check before it. */
export function cutShort(): readonly Case[] {
  const text = (path: string): string => `GET ${path}.cut HTTP/1.1\r\nHost: a\r\n\r\n`;
  return [false, true].flatMap((isSecond) =>
    Array.from({ length: text("/none/short0x00").length }, (_, at) => {
      const id = `short${isSecond ? 1 : 0}x${String(at).padStart(2, "0")}`;
      const path = `/none/${id}`;
      const before = { pieces: [`GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`], methods: ["GET"] };
      const cut = { pieces: [text(path).slice(0, at)], methods: null, ends: true } as const;
      const steps = isSecond ? [before, cut] : [cut];
      return {
        id,
        name: `cut short at ${at}${isSecond ? ", behind another" : ""}`,
        steps,
        answer: PLAIN_ANSWER,
      };
    }),
  );
}
