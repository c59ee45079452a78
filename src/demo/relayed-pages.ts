/**
 * Serves sparekey's status page under the switchboard's own address, so that it can be in a frame beside the faults.
 * sparekey lets no other page frame it, because a page that frames another can lead clicks astray.
 */
import { request as httpRequest, type IncomingMessage, type ServerResponse } from "node:http";

export const STATUS_FRAME = "/sparekey";
/** The status page, the files and data it loads, and the pages it links to. */
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

/** Passes on nothing of the client's request. `admin` is the `http://HOST:PORT` of sparekey's admin listener. */
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
