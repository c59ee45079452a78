/** A real sparekey with two routes and an upstream that can be taken down. */
import type { Test } from "tap";
import { ask, basic } from "./app.ts";
import { rawUpstream } from "./raw-upstream.ts";
import { startSparekey } from "./sparekey.ts";

const OK = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
const DOWN = "HTTP/1.1 503 Down\r\nContent-Length: 0\r\n\r\n";
export const ROOT = { username: "root", password: "open sesame" };

export async function outageScene(t: Test) {
  const state = { isDown: false };
  const upstream = await rawUpstream(t, (socket) => socket.write(state.isDown ? DOWN : OK));
  const sparekey = await startSparekey(
    t,
    `
listen: "127.0.0.1:0"
routes:
  - name: sso
    path: /auth
    upstream: "http://127.0.0.1:${upstream.port}"
    breaker: { failures: 2, interval: 100ms, maxInterval: 200ms }
    fallback: { htpasswd: htpasswd }
  - { name: bots, path: /bots, upstream: "http://127.0.0.1:${upstream.port}", fallback: { mode: allow } }
`,
    { users: { root: "open sesame" }, adminHtpasswd: "htpasswd" },
  );
  const url = sparekey.admin.url;
  const checks = async (count: number): Promise<void> => {
    for (let done = 0; done < count; done += 1) {
      await ask(`${sparekey.listen[0].url}/auth`);
      await ask(`${sparekey.listen[0].url}/bots`);
    }
  };
  const override = (body: unknown) =>
    ask(`${url}/-/routes/sso/override`, {
      method: "POST",
      headers: { Authorization: basic("root", "open sesame") },
      body: JSON.stringify(body),
    });
  return { state, sparekey, url, checks, override };
}
