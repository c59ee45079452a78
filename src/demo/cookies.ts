import type { IncomingMessage } from "node:http";

/** Returns the value of the first cookie with this name, as it was sent; null when there is none. */
export function cookieValue({ headers }: IncomingMessage, name: string): string | null {
  for (const pair of (headers.cookie ?? "").split(";")) {
    const [key, ...value] = pair.trim().split("=");
    if (key === name && value.length > 0) return value.join("=");
  }
  return null;
}
