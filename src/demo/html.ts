/** For pages the demo shows to people: nothing loads, nothing runs, nobody frames them. */
export const pageHeaders: readonly string[] = [
  "Content-Type",
  "text/html; charset=utf-8",
  "Cache-Control",
  "no-store",
  "Content-Security-Policy",
  "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
  "X-Content-Type-Options",
  "nosniff",
];

const style = `
:root { color-scheme: light dark }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 46rem; margin: 2rem auto; padding: 0 1rem }
table { border-collapse: collapse } th, td { text-align: left; padding: .15rem 1rem .15rem 0; vertical-align: top }
td { overflow-wrap: anywhere } button, input { font: inherit; padding: .2rem .6rem; min-width: 9rem }
form { margin: .15rem 0 } .now { font-weight: bold }`;

/** A whole page. `body` is markup: escape what is not yours before it gets here. */
export function htmlPage(title: string, body: string): string {
  return `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>${escapeHtml(title)}</title>
<style>${style}</style></head>
<body><h1>${escapeHtml(title)}</h1>
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
export function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (char) => entities[char] ?? char);
}
