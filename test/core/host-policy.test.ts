import t from "tap";
import { fallbackFor } from "../../src/core/host-policy.ts";
import type { Fallback } from "../../src/core/snapshot.ts";
import { check, route } from "../support/fixtures.ts";

const ADMIN: Fallback = { mode: "deny", grace: null, page: null };
const OPEN: Fallback = { mode: "allow", onOverload: "shed" };
const made = route({
  hosts: [
    { host: { kind: "exact", match: "open.admin.example.com" }, fallback: OPEN },
    { host: { kind: "suffix", match: ".admin.example.com" }, fallback: ADMIN },
  ],
});

const rows = [
  { name: "no host", hosts: [], mode: "basic-auth" },
  { name: "another host", hosts: ["app.example.com"], mode: "basic-auth" },
  { name: "a host of the pattern", hosts: ["db.admin.example.com"], mode: "deny" },
  { name: "two labels in front", hosts: ["a.b.admin.example.com"], mode: "deny" },
  { name: "the bare domain is not", hosts: ["admin.example.com"], mode: "basic-auth" },
  { name: "nor one that only ends alike", hosts: ["xadmin.example.com"], mode: "basic-auth" },
  { name: "the first match wins", hosts: ["open.admin.example.com"], mode: "allow" },
  {
    name: "in any case, with a port and the root's dot",
    hosts: ["DB.Admin.Example.COM.:8443"],
    mode: "deny",
  },
  ...["x.admin.example.com..", "x.admin.example.com:44x", "x.admin.example.com/", "%2e.example", "a b"].map(
    (host) => ({
      name: `no host name: ${host}`,
      hosts: [host],
      mode: "deny",
    }),
  ),
  { name: "the same host twice", hosts: ["open.admin.example.com", "open.admin.example.com"], mode: "allow" },
  { name: "two hosts of one policy", hosts: ["a.admin.example.com, b.admin.example.com"], mode: "deny" },
  {
    name: "a friendlier host in a second line",
    hosts: ["app.example.com", "open.admin.example.com"],
    mode: "deny",
  },
  {
    name: "a friendlier host in the same line",
    hosts: ["open.admin.example.com,app.example.com"],
    mode: "deny",
  },
];
for (const row of rows) {
  t.test(row.name, async (t) => {
    const headers = row.hosts.flatMap((host) => ["X-Forwarded-Host", host]);
    t.equal(fallbackFor(made, check({ headers })).mode, row.mode);
  });
}
