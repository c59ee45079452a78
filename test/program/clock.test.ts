/** What a wall clock that jumps may touch: the time in log lines, and nothing else. */
import t from "tap";
import { ask, basic, sample, serve } from "../support/app.ts";
import { eventually } from "../support/processes.ts";
import { rawUpstream } from "../support/raw-upstream.ts";
import { unstalled } from "../support/unstalled.ts";
import { untilProven } from "../support/warm.ts";

const DAY = 24 * 60 * 60 * 1_000;
const SHA_OF_RIGHT = "{SHA}0nofEXcSAJSXFLGvmfBIpBb11vQ=";
const WELL = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

t.test("the wall clock jumps", async (t) => {
  const real = Date.now;
  let jump = 0;
  Date.now = () => real() + jump;
  t.teardown(() => {
    Date.now = real;
  });
  let hanging = false;
  const upstream = await rawUpstream(t, (socket) => {
    if (!hanging) socket.write(WELL);
  });
  const htpasswd = `${t.testdir({ htpasswd: `admin:${SHA_OF_RIGHT}\n` })}/htpasswd`;
  const { urls, lines, metrics } = await serve(
    t,
    `
listen: 127.0.0.1:0
admin: { listen: "127.0.0.2:0" }
routes:
  - name: sso
    path: /sso
    upstream: http://127.0.0.1:${upstream.port}
    timeouts: { connect: 200ms, read: 200ms, total: 400ms }
    breaker: { failures: 2, interval: 1h, maxInterval: 1h }
    fallback: { mode: basic-auth, htpasswd: "${htpasswd}" }`,
  );
  const check = (headers = {}) => ask(`${urls[0]}/sso`, { headers });
  const right = { Authorization: basic("admin", "right") };
  const state = async (name: string) =>
    sample(await metrics(), `sparekey_breaker_state{route="sso",state="${name}"}`);

  await untilProven(metrics, ["sso"], async () => t.equal((await check()).status, 200));
  hanging = true;
  for (const days of [1, -2]) {
    jump = days * DAY;
    const [asked, loggedIn] = await unstalled(
      () => Promise.all([check(), check(right)]),
      (replies) => replies.some(({ headers }) => headers["x-auth-fallback"] === undefined),
    );
    t.equal(asked.status, 401, `${days} days: it waits, then falls back`);
    t.equal(loggedIn.status, 200, `${days} days: the login holds`);
  }
  await eventually(
    () => "the breaker does not open",
    async () => ((await state("open")) === 1 ? true : null),
  );
  const asked = upstream.heads.length;
  for (const days of [3, -3]) {
    jump = days * DAY;
    t.equal((await check()).status, 401);
    t.equal(await state("open"), 1, `${days} days: an hour is not over`);
  }
  t.equal(upstream.heads.length, asked, "no trial comes early");
  const opened = lines.find((line) => line.includes("breaker opened")) ?? "{}";
  const jumped = Math.abs(Date.parse(JSON.parse(opened).time) - real());
  t.ok(jumped > DAY / 2, "the log tells the wall's time, whichever jump the breaker opened after");
});
