/** The login pages of the stand-in outpost, in place of the core's. No redirect leaves the visited host. */
import type { IncomingMessage } from "node:http";
import { escapedHtml, htmlPage, pageHeaders } from "./html.ts";
import { bare, type CookieChange, message, redirect } from "./outpost-answers.ts";
import { outpostUser } from "./outpost-identity.ts";
import { isStoreBroken, outpostPaths, type Visit } from "./outpost-visit.ts";
import { plainText, type StandInAnswer } from "./stand-in.ts";

export const targetChars = 8 * 1024;
const formBytes = 8 * 1024;

/** `/start`, where a page of the app sends somebody to log in. */
export function startPage(visit: Visit): StandInAnswer | null {
  if (visit.fault === "logins-hang") return null;
  const target = targetOnSite(visit, visit.query.get("rd") ?? "/");
  if (!isStoreBroken(visit) || visit.version === "2026.8") return beginLogin(visit, target);
  const savesSilently = visit.version === "2025.6" || visit.version === "2025.10";
  return savesSilently ? loginWithoutSession(visit, target, "keep") : bare(400);
}

/** Sends somebody to the login. The session that begins there is a file of 96 bytes, or a row of the database. */
export function beginLogin(visit: Visit, target: string): StandInAnswer {
  if (visit.fault === "bare-400") return bare(400);
  const { state, session } = visit.sessions.begin(visit.cookie, target);
  if (!isStoreBroken(visit)) visit.sessions.save(session);
  return redirect(302, loginUrl(visit, state), { set: session });
}

/** Sends somebody to a login that cannot end well, because no session was saved for it. */
export function loginWithoutSession(visit: Visit, target: string, cookie: CookieChange): StandInAnswer {
  return redirect(302, loginUrl(visit, visit.sessions.begin(null, target).state), cookie);
}

function loginUrl({ origin }: Visit, state: string): string {
  const query = new URLSearchParams({
    client_id: "demo",
    redirect_uri: `${origin}${outpostPaths.callback}?X-authentik-auth-callback=true`,
    response_type: "code",
    scope: "openid email profile ak_proxy",
    state,
  });
  return `${origin}${outpostPaths.authorize}?${query}`;
}

/** The core's page with the form. */
export async function authorizePage(visit: Visit): Promise<StandInAnswer | null> {
  if (visit.fault === "core-hangs") return null;
  if (visit.fault === "core-down") return coreDown(visit);
  return visit.request.method === "POST" ? authorize(visit) : loginForm(visit, 200, "");
}

/** In front of an embedded outpost's core stands a web server of its own. */
export function coreDown({ version }: Visit): StandInAnswer {
  return version === "embedded" ? plainText(502, "Bad Gateway\n") : plainText(503, "Service Unavailable\n");
}

function loginForm({ query, sessions }: Visit, status: number, problem: string): StandInAnswer {
  const state = query.get("state") ?? "";
  if (sessions.attempt(state) === null) return expired();
  const body = `<p>This stands in for the login page of Authentik. The user is <b>${outpostUser.name}</b>,
the password <b>${outpostUser.password}</b>.</p>
<p role="alert">${escapedHtml(problem)}</p>
<form method="post" action="?state=${encodeURIComponent(state)}">
<p><label>User<br><input name="user" autocomplete="username" required autofocus></label></p>
<p><label>Password<br><input name="password" type="password" autocomplete="current-password" required></label></p>
<p><button>Log in</button></p>
</form>`;
  return { status, headers: pageHeaders, body: htmlPage("Stand-in login", body) };
}

async function authorize(visit: Visit): Promise<StandInAnswer> {
  const form = await readForm(visit.request);
  if (form === null) return message(413, "Too large", `A login has at most ${formBytes} bytes.`);
  const right = form.get("user") === outpostUser.name && form.get("password") === outpostUser.password;
  if (!right) return loginForm(visit, 403, "User or password is wrong.");
  const state = visit.query.get("state") ?? "";
  const code = visit.sessions.grant(state);
  if (code === null) return expired();
  return redirect(303, `${visit.origin}${outpostPaths.callback}?${new URLSearchParams({ code, state })}`);
}

/** `/callback`, where the core sends somebody back after the right password. */
export function finishLogin(visit: Visit): StandInAnswer | null {
  const { fault, query, cookie, sessions } = visit;
  if (fault === "logins-hang") return null;
  if (fault === "bare-400") return bare(400);
  if (isStoreBroken(visit)) return endWithoutSession(visit);
  const done = sessions.finish(query.get("state") ?? "", query.get("code") ?? "", cookie);
  return done === null ? expired() : redirect(302, done.target, { set: done.session });
}

/** The oldest versions do not look whether a session could be saved, and lead people around in a circle. */
function endWithoutSession({ version, query, sessions }: Visit): StandInAnswer {
  if (version === "2026.8") return bare(500);
  if (version === "2026.2" || version === "embedded") return bare(400);
  const begun = sessions.attempt(query.get("state") ?? "");
  return begun === null ? expired() : redirect(302, begun.target);
}

/** Returns `url` when it is on the host of this visit, and else the first page of that host. */
function targetOnSite({ origin }: Visit, url: string): string {
  const target = URL.parse(url, origin);
  const ours = target !== null && target.origin === origin && target.href.length <= targetChars;
  return ours ? `${origin}${target.pathname}${target.search}` : `${origin}/`;
}

function expired(): StandInAnswer {
  return message(
    400,
    "Login expired",
    `This login is unknown or over. <a href="${outpostPaths.start}">Begin again</a>.`,
  );
}

/** Resolves to null when the form is longer than `formBytes`. Rejects when the client left. */
async function readForm(request: IncomingMessage): Promise<URLSearchParams | null> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of request.iterator({ destroyOnReturn: false })) {
    length += chunk.length;
    if (length > formBytes) {
      request.resume();
      return null;
    }
    chunks.push(chunk);
  }
  return new URLSearchParams(Buffer.concat(chunks).toString());
}
