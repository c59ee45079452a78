/** For pages the demo shows to people: nothing loads, nothing runs. `rules`: of the page's own policy. */
export function pageHeadersWith(rules: string): string[] {
  return [
    ...["Content-Type", "text/html; charset=utf-8", "Cache-Control", "no-store"],
    "Content-Security-Policy",
    `default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; base-uri 'none'; ${rules}`,
    ...["X-Content-Type-Options", "nosniff"],
  ];
}

/** The switchboard, on another port of this machine, shows what is behind the gateway in a frame. */
export const pageHeaders: readonly string[] = pageHeadersWith(
  "frame-ancestors http://127.0.0.1:* http://localhost:*",
);

/** Of one make with sparekey's status page, from which it borrows nothing but the colours. */
const style = `
:root { color-scheme: light dark; --ground: #f5f5f2; --card: #fff; --ink: #1d2024; --soft: #5c626b; --line: #dfdfd9; --focus: #1456c0 }
@media (prefers-color-scheme: dark) {
  :root { --ground: #121418; --card: #1a1d22; --ink: #e9e7e2; --soft: #a3a9b2; --line: #2e333b; --focus: #8ab4f8 }
}
* { box-sizing: border-box }
body { font: 1rem/1.5 system-ui, sans-serif; max-width: 46rem; margin: 2rem auto; padding: 0 1rem; background: var(--ground); color: var(--ink) }
body:has(.board) { max-width: none; margin: 1.5rem 1rem }
h1 { font-size: 1.6rem; line-height: 1.2; letter-spacing: -.01em } h2 { font-size: 1.02rem; margin: 1.4rem 0 .4rem }
small { font-weight: 400; color: var(--soft) } a { color: inherit } :focus-visible { outline: 3px solid var(--focus); outline-offset: 2px }
table { border-collapse: collapse } th, td { text-align: left; padding: .15rem 1rem .15rem 0; vertical-align: top }
td { overflow-wrap: anywhere } td + td { padding-top: .45rem; color: var(--soft) } tr.now td { color: var(--ink) }
button, input { font: inherit; padding: .25rem .7rem; min-width: 9rem; text-align: left; color: inherit; background: var(--card); border: 1px solid var(--line); border-radius: 5px }
button:hover { border-color: var(--ink) } button.now { background: var(--ink); color: var(--ground) }
form { margin: .15rem 0 } .now { font-weight: 600 }
.board { display: grid; grid-template-columns: minmax(19rem, 26rem) 1fr; gap: 0 2rem; align-items: start }
.board section:first-child h2 { margin-top: 0 }
iframe { width: 100%; height: 44vh; min-height: 20rem; border: 1px solid var(--line); border-radius: 7px; background: var(--card) }
@media (max-width: 60rem) { .board { display: block } }`;

/** A whole page. `body` is markup: escape what is not yours before it gets here. */
export function htmlPage(title: string, body: string): string {
  return `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>${escapedHtml(title)}</title>
<style>${style}</style></head>
<body><h1>${escapedHtml(title)}</h1>
${body}
</body></html>
`;
}

const entities: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

/** Text made safe for elements and for attributes in quotes. */
export function escapedHtml(text: string): string {
  return text.replace(/[&<>"']/g, (char) => entities[char] ?? char);
}
