/** What a Poison Fountain answers, and the names it refuses. Two stand-ins say it: one that fails on demand, one slow. */
import { STATUS_CODES } from "node:http";

interface Asked {
  readonly method: string;
  readonly target: string;
  readonly userAgent: string;
}

export interface BlockerAnswer {
  readonly status: 200 | 403 | 501;
  /** Name, value, name, value … */
  readonly headers: readonly string[];
  /** null: the endless page. */
  readonly body: string | null;
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

export function blockerAnswer({ method, target, userAgent }: Asked): BlockerAnswer {
  if (method === "HEAD") return plainText(501, "");
  if (method !== "GET") return plainText(501, `Unsupported method ('${method}')\n`);
  if (target !== "/auth") return { ...plainText(200, ""), body: null };
  const name = userAgent.toLowerCase();
  return botNames.some((bot) => name.includes(bot)) ? plainText(403, "Forbidden\n") : plainText(200, "OK\n");
}

function plainText(status: BlockerAnswer["status"], body: string): BlockerAnswer {
  const date = new Date().toUTCString();
  const headers = ["Server", "BaseHTTP/0.6 Python/3.11", "Date", date, "Content-Type", "text/plain"];
  return { status, headers, body };
}

/** As it stands on the wire. It tells no length, because the end of the connection is the end of the body. */
export function headOf({ status, headers }: BlockerAnswer): string {
  let text = `HTTP/1.0 ${status} ${STATUS_CODES[status]}\r\n`;
  for (let i = 0; i + 1 < headers.length; i += 2) text += `${headers[i]}: ${headers[i + 1]}\r\n`;
  return `${text}\r\n`;
}

/** Each piece has 50 bytes. */
export function* endlessPage(): Generator<string> {
  for (let line = 0; ; line++)
    yield `${String(line).padStart(8, "0")} the quick brown fox jumps over lazy`.padEnd(49, ".").concat("\n");
}
