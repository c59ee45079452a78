/** The answers of the stand-in outpost that need nothing but words, and how an embedded one compresses them. */
import type { IncomingMessage } from "node:http";
import { deflateRawSync, gzipSync } from "node:zlib";
import { htmlPage, pageHeaders } from "./html.ts";
import { sessionCookie } from "./outpost-visit.ts";
import { plainText, type StandInAnswer } from "./stand-in.ts";

const sessionSeconds = 24 * 60 * 60;

/** What a redirect or a 401 does with the session's cookie: it sets one, leaves it alone or takes it away. */
export type CookieChange = { readonly set: string } | "keep" | "delete";

export function redirect(status: 302 | 303, location: string, cookie: CookieChange = "keep"): StandInAnswer {
  return { status, headers: ["Location", location, ...setCookie(cookie)], body: "" };
}

export function setCookie(change: CookieChange): string[] {
  if (change === "keep") return [];
  if (change === "delete")
    return ["Set-Cookie", `${sessionCookie}=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax`];
  const attributes = `Path=/; Max-Age=${sessionSeconds}; HttpOnly; SameSite=Lax`;
  return ["Set-Cookie", `${sessionCookie}=${change.set}; ${attributes}`];
}

/** To nginx, which cannot pass a redirect on. */
export function unauthorized(cookie: CookieChange): StandInAnswer {
  return plainText(401, "unauthorized request\n", setCookie(cookie));
}

export function noApp(host: string): StandInAnswer {
  const body = {
    Message: "no app for hostname",
    Host: host,
    Detail: `Check the outpost settings and make sure '${host}' is included.`,
  };
  return { status: 400, headers: ["Content-Type", "application/json"], body: JSON.stringify(body) };
}

/** An embedded outpost leaves hosts that it does not know to the core, which is a Django application. */
export function coreNotFound(): StandInAnswer {
  return { status: 404, headers: pageHeaders, body: htmlPage("Not Found", "<p>Not Found - authentik</p>") };
}

export function configurationError(): StandInAnswer {
  return plainText(500, "configuration error\n");
}

export function bare(status: 200 | 204 | 400 | 500): StandInAnswer {
  return { status, headers: [], body: "" };
}

export function message(status: number, title: string, markup: string): StandInAnswer {
  return { status, headers: pageHeaders, body: htmlPage(title, `<p>${markup}</p>`) };
}

/** What Go's writers make of nothing. It differs from Node's, which ends an empty stream in fewer bytes. */
const emptyDeflate = Buffer.from("010000ffff", "hex");
const emptyGzip = Buffer.concat([
  Buffer.from("1f8b08000000000000ff", "hex"),
  emptyDeflate,
  Buffer.from("0000000000000000", "hex"),
]);

/** The core's web server compresses all answers, and an empty body becomes one of 23 bytes. */
export function compressed(request: IncomingMessage, answer: StandInAnswer): StandInAnswer {
  const accepted = String(request.headers["accept-encoding"] ?? "")
    .split(",")
    .map((one) => one.trim());
  const encoding = ["gzip", "deflate"].find((one) => accepted.includes(one));
  const { body } = answer;
  if (encoding === undefined || answer.status === 204 || typeof body !== "string") return answer;
  const headers = [...answer.headers, "Content-Encoding", encoding, "Vary", "Accept-Encoding"];
  if (encoding === "gzip") return { ...answer, headers, body: body === "" ? emptyGzip : gzipSync(body) };
  return { ...answer, headers, body: body === "" ? emptyDeflate : deflateRawSync(body) };
}
