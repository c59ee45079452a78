/** The app behind the gateway. It believes the identity headers it gets, and shows them. */
import { createServer, type IncomingMessage } from "node:http";
import { escapedHtml, htmlPage, pageHeaders } from "./html.ts";
import { type Listening, listen } from "./listening.ts";

interface SampleAppOptions {
  readonly port: number;
  /** Markup with the links of the demo, shown under the tables. */
  readonly footer?: string;
}

/** It answers every request on 127.0.0.1 with one page, until it is closed. */
export function startSampleApp({ port, footer = "" }: SampleAppOptions): Promise<Listening> {
  const server = createServer({ maxHeaderSize: 1024 * 1024, keepAliveTimeout: 0 });
  server.on("request", (request, response) => {
    request.resume();
    response.writeHead(200, [...pageHeaders]).end(htmlPage("Sample app", appPage(request, footer)));
  });
  return listen(server, port);
}

function appPage(request: IncomingMessage, footer: string): string {
  const user = request.headers["x-authentik-username"];
  const name = typeof user === "string" && user !== "" ? user : "nobody: no name came with the request";
  const fallback = request.headers["x-auth-fallback"];
  const how = typeof fallback === "string" ? `sparekey's fallback (${fallback})` : "the outpost";
  const authorization =
    request.headers.authorization === undefined ? "did not arrive" : "arrived (not shown)";
  return `<p>You are <b>${escapedHtml(name)}</b>, let in by ${escapedHtml(how)}.</p>
<h2>Identity</h2>
${headerTable(request, "x-authentik-")}
<h2>The request</h2>
<p>${escapedHtml(`${request.method} ${request.url}`)}<br>Authorization: ${authorization}</p>
${headerTable(request, "x-forwarded-")}
${footer}`;
}

function headerTable(request: IncomingMessage, prefix: string): string {
  let rows = "";
  for (let i = 0; i + 1 < request.rawHeaders.length; i += 2) {
    const name = request.rawHeaders[i] ?? "";
    if (!name.toLowerCase().startsWith(prefix)) continue;
    rows += `<tr><th>${escapedHtml(name)}</th><td>${escapedHtml(request.rawHeaders[i + 1] ?? "")}</td></tr>\n`;
  }
  return rows === "" ? "<p>None.</p>" : `<table>\n${rows}</table>`;
}
