/** The part of the schema for `fallback`, of a route and of its hosts. */
import * as z from "zod/mini";
import { hostRule, network } from "./addresses.ts";
import { filePath, identityHeader, realm } from "./texts.ts";
import { described, duration, list, oneOf, optional, orNull, section, wholeNumber, wrong } from "./values.ts";

const MOST_NAMES = 64;

const rateLimitKeys = {
  failures: wholeNumber(1, 1_000_000),
  per: duration("1s", "1h"),
  global: wholeNumber(1, 1_000_000),
};

const rateLimitShape = {
  failures: optional(rateLimitKeys.failures, 10, "Failed logins from one address within per."),
  per: optional(rateLimitKeys.per, "1m", "The time failures are counted over."),
  global: optional(rateLimitKeys.global, 300, "Failed logins from all addresses together within per."),
};

const GRACE_ABOUT =
  "basic-auth and deny: how long a client's own last allow holds while the upstream cannot decide; 0s: not at all.";

const DEFAULT_HTPASSWD = "/etc/sparekey/htpasswd";

const loginKeys = {
  realm: realm(),
  htpasswd: filePath(),
  usernameHeader: identityHeader(["authorization"]),
  clearHeaders: list(identityHeader(), "[X-Email]", MOST_NAMES),
  allowFrom: list(network(), "[10.0.0.0/8]"),
};

export const fallbackShape = {
  mode: described(
    z.optional(oneOf(["allow", "basic-auth", "deny", "none"])),
    "What to do while the upstream cannot decide. Default: allow with preset bot-block, else basic-auth.",
  ),
  realm: optional(loginKeys.realm, "Emergency Access", "basic-auth: what the login box says."),
  htpasswd: optional(loginKeys.htpasswd, DEFAULT_HTPASSWD, "basic-auth: file of users and password hashes."),
  usernameHeader: described(
    z.optional(loginKeys.usernameHeader),
    "basic-auth: header of a good login that names the user. Default: the preset's, else X-authentik-username.",
  ),
  clearHeaders: described(
    z.optional(loginKeys.clearHeaders),
    "basic-auth: headers of a good login that are sent empty. Default: the preset's.",
  ),
  allowFrom: optional(
    loginKeys.allowFrom,
    [],
    "basic-auth, and no other mode: networks the emergency login is limited to; empty: anywhere.",
  ),
  rateLimit: optional(section(rateLimitShape), {}, "basic-auth: how many failed logins are too many."),
  page: orNull(
    filePath(),
    "basic-auth and deny: an HTML file in UTF-8, up to 64 KiB, in place of the page in 401 and 503; null: sparekey's own.",
  ),
  grace: optional(duration("0s", "24h"), "0s", GRACE_ABOUT),
  onOverload: described(
    z.optional(onOverload()),
    "allow, and no other mode: what a check gets whose upstream is busy with others. shed: 503; fallback: it passes. Default: shed.",
  ),
};

function onOverload() {
  return oneOf(["shed", "fallback"]);
}

// Only none forwards the body of a check. That is decided before the host is known, so none is for whole routes only.
function hostMode() {
  const known = wrong("known here", "one of allow, basic-auth, deny");
  return z.enum(["allow", "basic-auth", "deny"], {
    error: (issue) =>
      issue.input === "none"
        ? "{value} goes for a whole route, never for some of its hosts; write one of allow, basic-auth, deny"
        : known.error(issue),
  });
}

function inherited<T extends z.core.$ZodType>(schema: T) {
  return described(z.optional(schema), "basic-auth. Default: as in the route's fallback.");
}

export const hostFallbackShape = {
  mode: described(hostMode(), "What to do for these hosts while the upstream cannot decide."),
  realm: inherited(loginKeys.realm),
  htpasswd: inherited(loginKeys.htpasswd),
  usernameHeader: inherited(loginKeys.usernameHeader),
  clearHeaders: inherited(loginKeys.clearHeaders),
  allowFrom: inherited(loginKeys.allowFrom),
  rateLimit: inherited(
    section({
      failures: inherited(rateLimitKeys.failures),
      per: inherited(rateLimitKeys.per),
      global: inherited(rateLimitKeys.global),
    }),
  ),
  page: inherited(z.nullable(filePath())),
  // Grace is not inherited, because a host that denies where its route does not is meant to deny.
  grace: optional(duration("0s", "24h"), "0s", GRACE_ABOUT),
  onOverload: described(
    z.optional(onOverload()),
    "allow, and no other mode. Default: as in the route's fallback.",
  ),
};

export const hostShape = {
  match: described(hostRule(), 'A host, or "*.example.com" for all hosts under one; without port.'),
  fallback: described(section(hostFallbackShape), "In place of the route's; mode first."),
};
