import t from "tap";
import { isStale } from "../../src/upstream/pooled-connection.ts";
import { upstreamAt } from "../support/raw-upstream.ts";

const server = { host: "127.0.0.1", port: 9 };
const one = upstreamAt(9);
const several = upstreamAt(9, { servers: [server, server] });
const rows = [
  { name: "its first request", upstream: one, requests: 1, hasHeard: false, is: false },
  { name: "it was reused", upstream: one, requests: 2, hasHeard: false, is: true },
  { name: "there are others", upstream: several, requests: 1, hasHeard: false, is: true },
  { name: "the answer has begun", upstream: several, requests: 2, hasHeard: true, is: false },
];
for (const { name, upstream, requests, hasHeard, is } of rows) {
  t.test(`a connection died: ${name}`, async (t) => t.equal(isStale(upstream, requests, hasHeard), is));
}
