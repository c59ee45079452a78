/** What is asked by wrk, and what is read of its output. */
import t from "tap";
import { headBytes, headersOf, PLAIN, parseFigures } from "../../bench/compare/wrk.ts";

const REPORT = `Running 1s test @ http://127.0.0.1:9000/auth
  1 threads and 32 connections
  Latency Distribution
     50%  439.00us
  58695 requests in 1.00s, 17.07MB read
`;

t.test("the figures in wrk's output", async (t) => {
  const rows = [
    {
      name: "a good run",
      line: "figures 58695 1000914 439 2579 0 0 0 0 0",
      figures: { replies: 58695, seconds: 1.000914, p50Ms: 0.439, p99Ms: 2.579, refusals: 0, failures: 0 },
    },
    {
      name: "refusals and failed connections, of each kind",
      line: "figures 10 2000000 1000 5000 7 1 20 300 4000",
      figures: { replies: 10, seconds: 2, p50Ms: 1, p99Ms: 5, refusals: 7, failures: 4321 },
    },
    { name: "no figures: the script did not run", line: "", figures: null },
    { name: "too few", line: "figures 10 2000000", figures: null },
    { name: "no numbers", line: "figures a b c d e f g h i", figures: null },
  ];
  for (const { name, line, figures } of rows) t.same(parseFigures(`${REPORT}${line}\n`), figures, name);
});

t.test("a head is about 800 bytes; a cookie is as long as it is wanted", async (t) => {
  const bytes = headBytes(PLAIN, "/outpost.goauthentik.io/auth/traefik");
  t.ok(bytes >= 780 && bytes <= 820, `${bytes} bytes`);
  t.equal(headersOf({ ...PLAIN, cookieBytes: 16_384 }).Cookie?.length, 16_384);
});

t.test("Connection: close and credentials only where they are wanted", async (t) => {
  t.notOk("Connection" in headersOf(PLAIN));
  t.notOk("Authorization" in headersOf(PLAIN));
  t.match(headersOf({ ...PLAIN, isClosing: true, authorization: "Basic eDp5" }), {
    Connection: "close",
    Authorization: "Basic eDp5",
  });
});
