/** One request to the stand-in outpost, with everything that its pages need from it. */
import type { IncomingMessage } from "node:http";
import { BlockList, isIPv6 } from "node:net";
import type { OutpostSessions } from "./outpost-sessions.ts";
import type { OutpostState, OutpostVersion } from "./outpost-versions.ts";
import type { FaultName } from "./stand-in.ts";

export const outpostPrefix = "/outpost.goauthentik.io/";

export const outpostPaths = {
  check: `${outpostPrefix}auth/`,
  ping: `${outpostPrefix}ping`,
  start: `${outpostPrefix}start`,
  authorize: `${outpostPrefix}application/o/authorize/`,
  callback: `${outpostPrefix}callback`,
  signOut: `${outpostPrefix}sign_out`,
} as const;

export const sessionCookie = "authentik_proxy_5ba4e1c2";

/** The X-Forwarded-* headers, as far as the outpost believes them. */
interface Forwarded {
  readonly host: string | undefined;
  readonly proto: string | undefined;
  readonly uri: string | undefined;
}

export interface Visit {
  readonly request: IncomingMessage;
  readonly version: OutpostVersion;
  readonly fault: FaultName | OutpostState;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly forwarded: Forwarded;
  /** The host that the check or page is about, as it was written. */
  readonly asked: string;
  /** The protected host of its app; null where no app has it. */
  readonly host: string | null;
  /** `http://HOST` or `https://HOST`. */
  readonly origin: string;
  readonly cookie: string | null;
  readonly sessions: OutpostSessions;
}

/** The store takes no session, so that no login can begin or end as it should. */
export function isStoreBroken({ fault }: Visit): boolean {
  return fault === "store-full" || fault === "store-unreadable";
}

export function forwardedOf(request: IncomingMessage, isTrusted: boolean): Forwarded {
  const read = (name: string): string | undefined => {
    const value = request.headers[`x-forwarded-${name}`];
    return isTrusted && typeof value === "string" ? value : undefined;
  };
  return { host: read("host"), proto: read("proto"), uri: read("uri") };
}

/** `networks` are CIDRs, as in AUTHENTIK_LISTEN__TRUSTED_PROXY_CIDRS. */
export function trustOf(networks: readonly string[]): (request: IncomingMessage) => boolean {
  const trusted = new BlockList();
  for (const network of networks) {
    const [address = "", bits = ""] = splitOnce(network, "/");
    trusted.addSubnet(address, Number(bits), isIPv6(address) ? "ipv6" : "ipv4");
  }
  return ({ socket: { remoteAddress = "" } }) =>
    trusted.check(remoteAddress, isIPv6(remoteAddress) ? "ipv6" : "ipv4");
}

export function splitOnce(text: string, separator: string): string[] {
  const at = text.indexOf(separator);
  return at < 0 ? [text] : [text.slice(0, at), text.slice(at + 1)];
}
