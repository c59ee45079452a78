/**
 * A stand-in for an AI-bot blocker (Poison Fountain, Python http.server). It speaks HTTP/1.0, sends no lengths, and
 * answers once per connection. Only the exact `GET /auth` is a check. Any other page is endless and slow, to waste a
 * scraper's time. Any other method gets a 501, so a gateway that lets 5xx pass can be bypassed with another method.
 */
import { blockerAnswer, endlessPage } from "./bot-blocker-answers.ts";
import { type StandIn, type StandInAnswer, startStandIn } from "./stand-in.ts";

interface BotBlockerOptions {
  readonly port: number;
  /** Milliseconds between two pieces of the endless page; 500 by default. */
  readonly pieceMs?: number;
}

export type BotBlockerState = "bouncer-error";

/** A CrowdSec bouncer that cannot ask its engine refuses everybody, and says why in a header. */
const bouncerError: StandInAnswer = {
  status: 403,
  headers: ["X-Bouncer-Error", "failed to query the local API", "Content-Type", "text/plain"],
  body: "Forbidden\n",
};

/** It answers on 127.0.0.1 until it is closed. */
export function startBotBlocker({
  port,
  pieceMs = 500,
}: BotBlockerOptions): Promise<StandIn<BotBlockerState>> {
  return startStandIn<BotBlockerState>({
    port,
    faults: ["ok", "refuse", "hang", "reset", "status-503"],
    ownFaults: {
      "bouncer-error": "answers 403 to everybody because it is broken itself, and says so in a header",
    },
    protocol: "HTTP/1.0",
    dripMs: pieceMs,
    answer: async ({ method = "", url: target = "", headers }, fault) => {
      if (fault === "bouncer-error") return bouncerError;
      const answer = blockerAnswer({ method, target, userAgent: headers["user-agent"] ?? "" });
      return { ...answer, body: answer.body ?? { pieces: endlessPage(), pieceMs } };
    },
  });
}
