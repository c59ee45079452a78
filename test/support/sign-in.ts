/** Goes the login of the stand-in outpost, as a browser would. */
import { outpostUser } from "../../src/demo/outpost-identity.ts";
import { outpostPrefix } from "../../src/demo/outpost-visit.ts";

/** The cookie of a session. `host`: one that the outpost protects. */
export async function signIn(outpost: { readonly url: string }, host: string): Promise<string> {
  const visit = (url: string, init: RequestInit = {}) =>
    fetch(url.replace(`http://${host}`, outpost.url), {
      redirect: "manual",
      ...init,
      headers: { "X-Forwarded-Proto": "http", "X-Forwarded-Host": host, ...init.headers },
    });
  const begun = await visit(`${outpost.url}${outpostPrefix}auth/traefik`);
  const form = begun.headers.get("location") ?? "";
  const granted = await visit(form, {
    method: "POST",
    body: new URLSearchParams({ user: outpostUser.name, password: outpostUser.password }),
  });
  const done = await visit(granted.headers.get("location") ?? "", { headers: { Cookie: sessionOf(begun) } });
  return sessionOf(done);
}

function sessionOf(answer: Response): string {
  return answer.headers.getSetCookie()[0]?.split(";")[0] ?? "";
}
