/**
 * A stand-in for an AI-bot blocker (Poison Fountain, Python http.server). It speaks HTTP/1.0, sends no lengths, and
 * answers once per connection. Only the exact `GET /auth` is a check. Any other page is endless and slow, to waste a
 * scraper's time. Any other method gets a 501, so a gateway that lets 5xx pass can be bypassed with another method.
 */
import { type StandIn, type StandInAnswer, startStandIn } from "./stand-in.ts";

interface BotBlockerOptions {
  readonly port: number;
  /** Milliseconds between two pieces of the endless page; 500 by default. */
  readonly pieceMs?: number;
}

/** A user agent that contains one of these, in any case, is refused. */
export const botNames = [
  "ai2bot",
  "amazonbot",
  "anthropic-ai",
  "applebot-extended",
  "bytespider",
  "ccbot",
  "chatgpt-user",
  "claude-web",
  "claudebot",
  "cohere-ai",
  "dataforseobot",
  "diffbot",
  "duckassistbot",
  "facebookbot",
  "friendlycrawler",
  "google-extended",
  "gptbot",
  "iaskspider",
  "icc-crawler",
  "imagesiftbot",
  "img2dataset",
  "kangaroo bot",
  "magpie-crawler",
  "meta-externalagent",
  "mistralai-user",
  "oai-searchbot",
  "omgili",
  "pangubot",
  "perplexitybot",
  "petalbot",
  "scrapy",
  "timpibot",
  "velenpublicwebcrawler",
  "youbot",
] as const;

/** It answers on 127.0.0.1 until it is closed. */
export function startBotBlocker({ port, pieceMs = 500 }: BotBlockerOptions): Promise<StandIn> {
  return startStandIn({
    port,
    faults: ["ok", "refuse", "hang", "reset", "status-503"],
    protocol: "HTTP/1.0",
    dripMs: pieceMs,
    answer: async (request) => {
      if (request.method !== "GET") return text(501, `Unsupported method ('${request.method}')\n`);
      if (request.url === "/auth") return check(request.headers["user-agent"] ?? "");
      return { ...text(200, ""), body: { pieces: endlessPage(), pieceMs } };
    },
  });
}

function check(userAgent: string): StandInAnswer {
  const name = userAgent.toLowerCase();
  return botNames.some((bot) => name.includes(bot)) ? text(403, "Forbidden\n") : text(200, "OK\n");
}

function text(status: number, body: string): StandInAnswer {
  const date = new Date().toUTCString();
  return {
    status,
    headers: ["Server", "BaseHTTP/0.6 Python/3.11", "Date", date, "Content-Type", "text/plain"],
    body,
  };
}

/** Each piece has 50 bytes. */
function* endlessPage(): Generator<string> {
  for (let line = 0; ; line++)
    yield `${String(line).padStart(8, "0")} the quick brown fox jumps over lazy`.padEnd(49, ".").concat("\n");
}
