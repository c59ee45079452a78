/**
 * The client's address is the rightmost X-Forwarded-For entry that is not a trusted proxy. The gateway writes the
 * rightmost entry, so a client cannot choose it. A client can choose all entries further left.
 */
import { isIPv4, isIPv6 } from "node:net";
import { headerValues } from "./headers.ts";
import type { AddressList } from "./snapshot.ts";
import type { Check } from "./types.ts";

/**
 * The client's address in one spelling; null: the gateway named none. The gateway's own address is no substitute,
 * because it would open an `allowFrom` of the inner network to everybody.
 */
export function clientAddress(check: Check, trustedProxies: AddressList | null): string | null {
  const text = headerValues(check.headers, "x-forwarded-for").join(",");
  let address: string | null = null;
  // From the right, so that a client pays for the many entries that it may send, and we do not.
  for (let end = text.length; end > 0; ) {
    const comma = text.lastIndexOf(",", end - 1);
    const entry = text.slice(comma + 1, end).trim();
    end = comma;
    if (entry === "") continue;
    address = normalAddress(entry);
    if (address === null || !isListed(address, trustedProxies)) break;
  }
  return address;
}

/** Whether `list` holds `address`, which is in the spelling of `clientAddress`. A null list holds nothing. */
export function isListed(address: string, list: AddressList | null): boolean {
  if (list === null) return false;
  return list.check(address, isIPv4(address) ? "ipv4" : "ipv6");
}

/**
 * The key that failed logins are counted by. A single household or server can change its address within a whole IPv6
 * /64, so a /64 counts as one client. All unreadable addresses count as one client too.
 */
export function limitKey(address: string | null): string {
  const normal = address === null ? null : normalAddress(address);
  if (normal === null) return "unknown";
  if (isIPv4(normal)) return normal;
  return `${ipv6Groups(normal).slice(0, 4).join(":")}::/64`;
}

/** The address without port, brackets, zone and IPv4-mapped prefix; null: no address is left. */
function normalAddress(text: string): string | null {
  const bare = stripPort(text);
  if (isIPv4(bare)) return bare;
  const zoneless = bare.split("%", 1)[0] ?? "";
  if (!isIPv6(zoneless)) return null;
  const groups = ipv6Groups(zoneless);
  return isIPv4Mapped(groups) ? groupsToIPv4(groups) : groups.join(":");
}

function stripPort(text: string): string {
  const bracketed = /^\[([^\]]*)\](?::\d{1,5})?$/.exec(text);
  if (bracketed) return bracketed[1] ?? "";
  const withPort = /^(\d+\.\d+\.\d+\.\d+):\d{1,5}$/.exec(text);
  return withPort ? (withPort[1] ?? "") : text;
}

/** The eight groups of a valid IPv6 address, in hex without leading zeros. */
function ipv6Groups(address: string): readonly string[] {
  const [left = "", right] = withoutDottedTail(address).split("::");
  const head = left === "" ? [] : left.split(":");
  const tail = right === undefined || right === "" ? [] : right.split(":");
  const zeros = Array<string>(8 - head.length - tail.length).fill("0");
  return [...head, ...zeros, ...tail].map((group) => Number.parseInt(group, 16).toString(16));
}

/** `::ffff:192.0.2.1` → `::ffff:c000:201`. */
function withoutDottedTail(address: string): string {
  const start = address.lastIndexOf(":") + 1;
  const tail = address.slice(start);
  if (!tail.includes(".")) return address;
  const [a = 0, b = 0, c = 0, d = 0] = tail.split(".").map(Number);
  return `${address.slice(0, start)}${(a * 256 + b).toString(16)}:${(c * 256 + d).toString(16)}`;
}

function isIPv4Mapped(groups: readonly string[]): boolean {
  return groups.slice(0, 6).join(":") === "0:0:0:0:0:ffff";
}

function groupsToIPv4(groups: readonly string[]): string {
  return groups
    .slice(6)
    .map((group) => Number.parseInt(group, 16))
    .map((value) => `${value >> 8}.${value & 255}`)
    .join(".");
}
