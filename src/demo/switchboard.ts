/**
 * Switches the faults of the stand-ins, by buttons on a page that also shows their effect, or by `POST …/fault/NAME`
 * with curl. Only this machine may use it, and no other web page: a request must name a loopback host, and a browser's
 * request must come from the switchboard itself.
 */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { escapedHtml, htmlPage, pageHeadersWith } from "./html.ts";
import { type Listening, listen } from "./listening.ts";
import { isRelayed, relayPage, STATUS_FRAME } from "./relayed-pages.ts";

/** The part of a stand-in that the switchboard needs. */
export interface Switchable {
  readonly faults: readonly string[];
  /** What a fault does, in words for people. */
  meaning(name: string): string;
  fault(): string;
  setFault(name: string): Promise<void>;
}

interface SwitchboardOptions {
  readonly port: number;
  readonly switches: readonly Switch[];
  /** The `http://HOST:PORT` of the gateway in front of the sample app. */
  readonly gateway: string;
  /** The `http://HOST:PORT` of sparekey's admin listener. */
  readonly admin: string;
}

interface Switch {
  readonly title: string;
  /** The path of its faults: `/fault/` makes `POST /fault/NAME`. */
  readonly path: string;
  readonly standIn: Switchable;
}

export function startSwitchboard(options: SwitchboardOptions): Promise<Listening> {
  const server = createServer();
  server.on("request", (request, response) => {
    request.resume();
    answer(request, response, options).catch((error: Error) => text(response, 500, error.message));
  });
  return listen(server, options.port);
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  options: SwitchboardOptions,
): Promise<void> {
  if (!fromLoopback(request)) return text(response, 403, "Open the switchboard as 127.0.0.1 or localhost.");
  const path = request.url ?? "";
  const reads = request.method === "GET" || request.method === "HEAD";
  if (path === "/" && reads) {
    response.writeHead(200, pageHeadersWith(FRAMES)).end(switchboardPage(options));
    return;
  }
  if (isRelayed(path) && reads) return relayPage(path, options.admin, response);
  const part = options.switches.find((one) => path.startsWith(one.path));
  if (part === undefined) return text(response, 404, "No such page. GET / lists what there is.");
  if (request.method !== "POST")
    return text(response, 405, "Faults are switched with POST.", ["Allow", "POST"]);
  if (!fromItself(request)) return text(response, 403, "Another web page may not switch faults.");
  const name = path.slice(part.path.length);
  const fault = part.standIn.faults.find((known) => known === name);
  if (fault === undefined) {
    return text(
      response,
      404,
      `${part.title} has no such fault. It knows ${part.standIn.faults.join(", ")}.`,
    );
  }
  await part.standIn.setFault(fault);
  // A browser goes back to the buttons; curl gets a line.
  if (request.headers["sec-fetch-mode"] === "navigate" || request.headers.origin !== undefined) {
    response.writeHead(303, ["Location", "/"]).end();
    return;
  }
  text(response, 200, `${part.title}: ${fault}: ${part.standIn.meaning(fault)}`);
}

/** A name that merely resolves to this machine is not enough, because of DNS rebinding. */
function fromLoopback(request: IncomingMessage): boolean {
  return /^(127\.0\.0\.1|localhost|\[::1\])(:\d+)?$/i.test(request.headers.host ?? "");
}

/** Browsers say where a POST comes from, and pages cannot make them lie; curl says nothing. */
function fromItself(request: IncomingMessage): boolean {
  const { origin, host, "sec-fetch-site": site } = request.headers;
  if (origin !== undefined && origin !== `http://${host}`) return false;
  return site === undefined || site === "same-origin" || site === "none";
}

function text(response: ServerResponse, status: number, line: string, headers: readonly string[] = []): void {
  const type = ["Content-Type", "text/plain; charset=utf-8", "X-Content-Type-Options", "nosniff"];
  response.writeHead(status, [...type, ...headers]).end(`${line}\n`);
}

/** It frames its own pages and those of the gateway, which has another port. No page may frame it. */
const FRAMES = "frame-src 'self' http://127.0.0.1:* http://localhost:*; frame-ancestors 'none'";

function switchboardPage({ switches, gateway }: SwitchboardOptions): string {
  const parts = switches.map(switchTable).join("\n");
  return htmlPage(
    "Switchboard of faults",
    `<div class="board"><main>
<p>Pick a fault, and see what comes of it: the app as a visitor sees it, and sparekey's own page.</p>
${parts}
</main>
<div>
${frame("The sample app, through the gateway", `${gateway}/`, `${gateway}/`)}
${frame("sparekey's page", STATUS_FRAME, STATUS_FRAME)}
</div></div>`,
  );
}

function switchTable({ title, path, standIn }: Switch): string {
  const rows = standIn.faults.map((name) => {
    const now = name === standIn.fault() ? ' class="now" aria-current="true"' : "";
    const button = `<form method="post" action="${path}${name}"><button${now}>${name}</button></form>`;
    return `<tr${now}><td>${button}</td><td>${escapedHtml(standIn.meaning(name))}${now === "" ? "" : " (now)"}</td></tr>`;
  });
  return `<h2>${escapedHtml(title)}</h2>\n<table>\n${rows.join("\n")}\n</table>`;
}

function frame(title: string, source: string, link: string): string {
  return `<section><h2>${escapedHtml(title)} <small><a href="${escapedHtml(link)}">by itself</a></small></h2>
<iframe src="${escapedHtml(source)}" title="${escapedHtml(title)}"></iframe></section>`;
}
