/** Config values that are network addresses: listen addresses, upstreams, hosts, networks of clients. */
import { BlockList, isIP, isIPv4, isIPv6, SocketAddress } from "node:net";
import * as z from "zod/mini";
import type { Address, HostRule, PathRule } from "../core/snapshot.ts";
import { list, type ParsedValue, text, wrong } from "./values.ts";

const LISTEN = /^(\[[0-9A-Fa-f:.]+\]|[0-9.]+|localhost):(\d{1,5})$/;

/** `127.0.0.1:9000`, `[::]:9000` or `localhost:9000`. With port 0 the system chooses one. */
export function listenAddress() {
  const write = "IP:PORT, as in 0.0.0.0:9000 or [::]:9000";
  return text("a listen address", write, LISTEN, (written): ParsedValue<Address> => {
    const [, bracketed = "", digits = ""] = LISTEN.exec(written) ?? [];
    const refused = `{value} is not a listen address; write ${write}`;
    const host = bracketed.replace(/^\[|\]$/g, "");
    if (bracketed.startsWith("[") ? !isIPv6(host) : host !== "localhost" && !isIPv4(host)) return { refused };
    const port = Number(digits);
    if (port > 65535) return { refused };
    return { value: { host: canonical(host), port } };
  });
}

/** One spelling for each address, so that equal addresses compare equal. */
function canonical(host: string): string {
  if (!isIPv6(host)) return host;
  return new SocketAddress({ address: host, family: "ipv6" }).address;
}

export interface Origin extends Address {
  readonly protocol: "http:" | "https:";
}

const ORIGIN = /^https?:\/\/(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(:\d{1,5})?\/?$/;

const ORIGIN_WRITE = "http://HOST:PORT or https://HOST:PORT, without user, path or query";

/** The URL of an upstream without a path: `http://host:9000` or `https://host`. */
export function origin() {
  const what = "an upstream URL";
  return text(what, ORIGIN_WRITE, ORIGIN, (written): ParsedValue<Origin> => {
    const url = URL.parse(written);
    if (url === null || url.port === "0") return { refused: `{value} is not ${what}; write ${ORIGIN_WRITE}` };
    return { value: originOf(url) };
  });
}

const MOST_SERVERS = 16;

/** One origin, or a list of them with the preferred one first. The value is always a list. */
export function origins() {
  const several = list(origin(), "[http://one:9000, http://two:9000]", MOST_SERVERS).check(
    z.minLength(1, { error: `holds no upstream; write ${ORIGIN_WRITE}` }),
  );
  return oneOrList(z.union([origin(), several], wrong("an upstream URL or a list of them", ORIGIN_WRITE)));
}

function oneOrList<T>(either: z.ZodMiniType<T | readonly T[]>) {
  return z.pipe(
    either,
    z.transform((given): readonly T[] => (isList(given) ? given : [given])),
  );
}

function isList<T>(given: T | readonly T[]): given is readonly T[] {
  return Array.isArray(given);
}

function originOf(url: URL): Origin {
  const protocol = url.protocol === "https:" ? "https:" : "http:";
  const port = url.port === "" ? (protocol === "https:" ? 443 : 80) : Number(url.port);
  return { protocol, host: url.hostname.replace(/^\[|\]$/g, ""), port };
}

export interface Resource {
  readonly origin: Origin;
  /** Path and query. */
  readonly target: string;
}

/** An origin, followed by any visible ASCII characters but "#". */
const RESOURCE = /^https?:\/\/(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(:\d{1,5})?([/?][!"$-~]*)?$/;
const LONGEST_URL = 2048;

const RESOURCE_WRITE = "http://HOST:PORT/PATH or https://HOST:PORT/PATH, without user or fragment";

/** A URL with a path, such as `https://host/-/health/ready/`. */
export function resource() {
  const what = "a URL to ask";
  return text(what, RESOURCE_WRITE, RESOURCE, (written) => readResource(written, what, RESOURCE_WRITE));
}

const MOST_RESOURCES = 8;

/** One such URL, or a list of them. The value is always a list. */
export function resources() {
  const several = list(resource(), "[https://one/health, https://two/health]", MOST_RESOURCES);
  return oneOrList(z.union([resource(), several], wrong("a URL to ask or a list of them", RESOURCE_WRITE)));
}

/** The URL of a webhook. Its path and query are often secrets. */
export function webhookUrl() {
  const what = "a webhook URL";
  const write = `http://HOST/PATH or https://HOST/PATH, up to ${LONGEST_URL} visible ASCII characters, without fragment, and without user: credentials go into headers`;
  return text(what, write, RESOURCE, (written) => readResource(written, what, write));
}

function readResource(written: string, what: string, write: string): ParsedValue<Resource> {
  const url = URL.parse(written);
  if (url === null || url.port === "0" || written.length > LONGEST_URL) {
    return { refused: `{value} is not ${what}; write ${write}` };
  }
  return { value: { origin: originOf(url), target: url.pathname + url.search } };
}

const HOST = /^(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(:\d{1,5})?$/;
const LONGEST_HOST = 259;

/** The value of a Host header. It is kept as written, because apps are found by it. */
export function hostHeader() {
  const what = "a host";
  const write = "HOST or HOST:PORT, as in app.example.com";
  return text(what, write, HOST, (value): ParsedValue<string> => {
    const url = URL.parse(`http://${value}`);
    if (url === null || url.port === "0" || value.length > LONGEST_HOST) {
      return { refused: `{value} is not ${what}; write ${write}` };
    }
    return { value };
  });
}

/** Labels of letters, digits and "-" (RFC 952). A "*." in front stands for one label or more. */
const HOST_RULE = /^(\*\.)?[A-Za-z0-9-]{1,63}(\.[A-Za-z0-9-]{1,63})*$/;
const LONGEST_NAME = 253;

/** The hosts that a policy is for. The value is in lower case and without port, because hosts are compared so. */
export function hostRule() {
  const what = "a host to match";
  const write = "HOST or *.HOST of letters, digits, - and dots, without port, as in *.example.com";
  return text(what, write, HOST_RULE, (written): ParsedValue<HostRule> => {
    if (written.length > LONGEST_NAME) return { refused: `{value} is not ${what}; write ${write}` };
    const match = written.toLowerCase();
    if (!match.startsWith("*")) return { value: { kind: "exact", match } };
    return { value: { kind: "suffix", match: match.slice(1) } };
  });
}

/** A DNS name. RFC 6066 allows no IP address as a server name. */
export function serverName() {
  const what = "a server name";
  const write = "a DNS name, as in auth.example.com";
  return text(what, write, /^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$/, (value): ParsedValue<string> => {
    if (isIP(value) !== 0 || value.length > 253) return { refused: `{value} is not ${what}; write ${write}` };
    return { value };
  });
}

/** Unreserved characters, sub-delimiters, ":", "@", escapes and "/" of RFC 3986. A "*" may end the path. */
const PATH = /^\/(?:[A-Za-z0-9\-._~!$&'()+,;=:@/]|%[0-9A-Fa-f]{2})*\*?$/;

/** A path as requests spell it. Paths are compared undecoded, so any other spelling could never match. */
export function routePath() {
  const what = "a path";
  const write = "/PATH without ?, #, spaces or dot segments; * only after the last /";
  return text(what, write, PATH, (written): ParsedValue<PathRule> => {
    const segments = written.split("/");
    if (segments.some((segment) => /^(\.|%2e){1,2}$/i.test(segment)) || /[^/]\*$/.test(written)) {
      return { refused: `{value} is not ${what}; write ${write}` };
    }
    if (!written.endsWith("*")) return { value: { kind: "exact", path: written } };
    return { value: { kind: "prefix", prefix: written.slice(0, -1) } };
  });
}

interface Network {
  readonly address: string;
  readonly prefix: number;
  readonly family: "ipv4" | "ipv6";
}

const NETWORK = /^([0-9A-Fa-f:.]+)(?:\/(\d{1,3}))?$/;

const NETWORK_WRITE = "an address or CIDR, as in 10.0.0.0/8";

/** `10.0.0.0/8`, `2001:db8::/32` or one address. */
export function network() {
  return text("a network", NETWORK_WRITE, NETWORK, readNetwork);
}

/** A network of proxies. It must not hold every address: each client could then choose the address it is counted by. */
export function proxyNetwork() {
  return text("a network", NETWORK_WRITE, NETWORK, (written) => {
    const reading = readNetwork(written);
    if ("refused" in reading || !holdsAll(reading.value)) return reading;
    return { refused: "{value} trusts every address; list only the proxies in front of the gateway" };
  });
}

/** Whether it holds every IPv4 or every IPv6 address. Short IPv6 prefixes such as ::/1 hold all IPv4-mapped ones. */
function holdsAll(network: Network): boolean {
  const list = toBlockList([network]);
  const ends = {
    ipv4: ["0.0.0.0", "255.255.255.255"],
    ipv6: ["::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"],
  };
  return (["ipv4", "ipv6"] as const).some((family) => ends[family].every((end) => list?.check(end, family)));
}

function readNetwork(written: string): ParsedValue<Network> {
  const [, address = "", digits] = NETWORK.exec(written) ?? [];
  const bits = isIPv4(address) ? 32 : 128;
  const prefix = digits === undefined ? bits : Number(digits);
  if (isIP(address) === 0 || prefix > bits) {
    return { refused: `{value} is not a network; write ${NETWORK_WRITE}` };
  }
  return { value: unmapped({ address, prefix, family: bits === 32 ? "ipv4" : "ipv6" }) };
}

/** Turns an IPv4-mapped IPv6 address (RFC 4291, 2.5.5.2) into IPv4, because a check may show either. */
function unmapped(given: Network): Network {
  if (given.family === "ipv4" || given.prefix < 96) return given;
  const [, address] = /^::ffff:([0-9.]+)$/.exec(canonical(given.address)) ?? [];
  if (address === undefined) return given;
  return { address, prefix: given.prefix - 96, family: "ipv4" };
}

/** null: there are no networks. */
export function toBlockList(networks: readonly Network[]): BlockList | null {
  if (networks.length === 0) return null;
  const list = new BlockList();
  for (const { address, prefix, family } of networks) list.addSubnet(address, prefix, family);
  return list;
}
