/**
 * The pages that people see in a fallback. A page loads nothing, runs nothing, holds nothing of a check and names
 * nothing inside the network. Every refused check of an outage gets one, so each stays below 1.5 kB.
 */

/** The link makes the browser ask again. After a 401 this brings the login box back, even without a reload button. */
const AGAIN = '<p><a href="">Try again</a>';
const LATER = "If this lasts, tell the people who run this site.";

/** The page behind the login box. */
export const LOGIN_PAGE = document(
  "Sign-in is down",
  `<p>The usual sign-in cannot be used at the moment. Your account is not the cause.
<h2>If you have the emergency password</h2>
<p>Enter the emergency name and password. Your usual ones do not work here.
<p><a href="">Log in</a>
<h2>If you do not</h2>
<p>Try again in a few minutes. ${LATER}`,
);

export const DOWN_PAGE = document(
  "Sign-in is down",
  `<p>The usual sign-in cannot be used at the moment, so this site stays closed. Your account is not the cause.
<h2>What to do</h2>
<p>Try again in a few minutes. ${LATER}
${AGAIN}`,
);

/** Pages by minutes. They are kept because a flood asks for many; `rateLimit.per` allows 60 different ones. */
const limitedPages = new Map<number, Uint8Array>();

export function limitedPage(retryAfterSeconds: number): Uint8Array {
  const minutes = Math.ceil(retryAfterSeconds / 60);
  let page = limitedPages.get(minutes);
  if (page === undefined) {
    page = document(
      "Too many attempts",
      `<p>The usual sign-in cannot be used at the moment, and too many tries at the emergency password came in.
<h2>What to do</h2>
<p>Wait ${minutes === 1 ? "a minute" : `${minutes} minutes`}, then try again.
${AGAIN}`,
    );
    limitedPages.set(minutes, page);
  }
  return page;
}

/** The empty icon keeps browsers from asking for /favicon.ico, which would cost a check. */
function document(title: string, words: string): Uint8Array {
  return new TextEncoder().encode(`<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width,initial-scale=1">
<title>${title}</title>
<link rel="icon" href="data:,">
<style>
:root{color-scheme:light dark;--ground:#f5f5f2;--ink:#1d2024;--mark:#b3241c}
@media(prefers-color-scheme:dark){:root{--ground:#121418;--ink:#e9e7e2;--mark:#ff8a80}}
body{margin:0;background:var(--ground);color:var(--ink);font:1.1rem/1.6 system-ui,sans-serif;-webkit-text-size-adjust:100%;overflow-wrap:anywhere}
main{max-width:34rem;margin:auto;padding:min(14vh,14vw) 1.5rem 3rem}
h1{margin:0;padding-top:1.2rem;border-top:4px solid var(--mark);font-size:2.1rem;line-height:1.2}
h2{margin:2rem 0 -.6rem;font-size:1.1rem}
a{display:inline-block;padding:.5rem 1.3rem;border-radius:.4rem;background:var(--ink);color:var(--ground);font-weight:600;text-decoration:none}
:focus-visible{outline:3px solid var(--mark);outline-offset:3px}
</style>
<main>
<h1>${title}</h1>
${words}
</main>
`);
}
