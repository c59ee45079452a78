import t, { type Test } from "tap";
import { startSampleApp } from "../../src/demo/sample-app.ts";

async function page(test: Test, headers: Record<string, string>): Promise<string> {
  const app = await startSampleApp({ port: 0, footer: "<p>footer</p>" });
  test.teardown(() => app.close());
  const answer = await fetch(`${app.url}/here?x`, { headers });
  test.equal(answer.status, 200);
  test.match(answer.headers.get("content-type"), "text/html");
  return answer.text();
}

t.test("it shows who the headers say, and the gateway's words", async (test) => {
  const html = await page(test, {
    "X-authentik-username": "demo",
    "X-authentik-groups": "users|demo",
    "X-Forwarded-Host": "localhost:8000",
  });
  test.match(html, "You are <b>demo</b>, let in by the outpost.");
  test.match(html, "users|demo");
  test.match(html, "localhost:8000");
  test.match(html, "GET /here?x");
  test.match(html, "Authorization: did not arrive");
  test.match(html, "<p>footer</p>");
});

t.test("it says when a fallback let the request in", async (test) => {
  const html = await page(test, { "X-authentik-username": "admin", "X-Auth-Fallback": "basic-auth" });
  test.match(html, "let in by sparekey&#39;s fallback (basic-auth)");
});

t.test("nothing it shows is markup, and no password is shown", async (test) => {
  const html = await page(test, {
    "X-authentik-username": "<script>alert(1)</script>",
    "X-Forwarded-Uri": '"><img src=x>',
    Authorization: "Basic c2VjcmV0",
  });
  test.notMatch(html, "<script>");
  test.notMatch(html, "<img");
  test.match(html, "&lt;script&gt;");
  test.match(html, "Authorization: arrived");
  test.notMatch(html, "c2VjcmV0");
});

t.test("without a name it is nobody", async (test) => {
  test.match(await page(test, { "X-authentik-username": "" }), "You are <b>nobody");
});
