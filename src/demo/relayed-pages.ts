/**
 * sparekey's status page as the switchboard's own, so that it can stand in a frame beside the faults: sparekey
 * lets no other page frame it, for who frames a page may lead clicks astray.
 */
import { request as httpRequest, type IncomingMessage, type ServerResponse } from "node:http";

export const STATUS_FRAME = "/sparekey";
/** What that page asks for, and what it links to. */
const PAGES = /^\/(?:sparekey|status\/[\w.-]+|status\.json|events|metrics|healthz|readyz)$/;
const PASSED = ["content-type", "cache-control", "retry-after"];
const FRAMED_HERE = {
  "Content-Security-Policy":
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; frame-ancestors 'self'",
  "X-Content-Type-Options": "nosniff",
};

export function isRelayed(path: string): boolean {
  return PAGES.test(path);
}

/** Nothing of the client's request goes along. `admin`: `http://HOST:PORT` of sparekey's admin listener. */
export function relayPage(path: string, admin: string, response: ServerResponse): void {
  const asked = httpRequest(`${admin}${path === STATUS_FRAME ? "/" : path}`, { agent: false });
  asked
    .on("response", (answer: IncomingMessage) => {
      const passed = Object.entries(answer.headers).filter(([name]) => PASSED.includes(name));
      response.writeHead(answer.statusCode ?? 502, { ...Object.fromEntries(passed), ...FRAMED_HERE });
      response.flushHeaders();
      answer.on("error", () => response.destroy()).pipe(response);
    })
    .on("error", () => {
      if (response.headersSent) response.destroy();
      else response.writeHead(502, { "Content-Type": "text/plain" }).end("sparekey does not answer\n");
    })
    .end();
  response.on("close", () => asked.destroy());
}
