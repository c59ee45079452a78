/** The one user of the stand-in outpost, and what the outpost says of somebody who is logged in. */
import { randomBytes } from "node:crypto";

/** The one user there is. The password is an app password too. */
export const outpostUser = { name: "demo", password: "demo" } as const;

/** A check with `Authorization: Bearer` and this token is let through. */
export const outpostToken = standInToken();

/** The headers of the answer to the check of a logged-in user. */
export const identityHeaders: readonly string[] = [
  "X-authentik-username",
  outpostUser.name,
  "X-authentik-groups",
  "users|demo",
  "X-authentik-entitlements",
  "read|write",
  "X-authentik-email",
  "demo@example.com",
  "X-authentik-name",
  "Demo User",
  "X-authentik-uid",
  "2a97516c354b68848cdbd8f54a226a0a55b21ed138e207ad6c5cbb9c00aa5aea",
  "X-authentik-jwt",
  outpostToken,
  "X-authentik-meta-jwks",
  "http://127.0.0.1/application/o/demo/jwks/",
  "X-authentik-meta-outpost",
  "demo outpost",
  "X-authentik-meta-provider",
  "demo provider",
  "X-authentik-meta-app",
  "demo",
  "X-authentik-meta-version",
  "goauthentik.io/outpost/2026.5.0",
];

/** It looks like the core's token, and nothing can be checked with it. */
function standInToken(): string {
  const part = (claims: object) => Buffer.from(JSON.stringify(claims)).toString("base64url");
  const claims = { iss: "sparekey demo", sub: outpostUser.name };
  return `${part({ alg: "HS256", typ: "JWT" })}.${part(claims)}.${randomBytes(32).toString("base64url")}`;
}
