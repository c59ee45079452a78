import type { Address } from "./snapshot.ts";

/** `HOST:PORT` for URLs and Host headers, with an IPv6 address in brackets (RFC 3986 section 3.2.2). */
export function addressText({ host, port }: Address): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}
