import { readFileSync } from "node:fs";

/** Headers of the demo's pages, which load and run nothing. `rules` are added to the content security policy. */
export function pageHeadersWith(rules: string): string[] {
  return [
    ...["Content-Type", "text/html; charset=utf-8", "Cache-Control", "no-store"],
    "Content-Security-Policy",
    `default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; base-uri 'none'; ${rules}`,
    ...["X-Content-Type-Options", "nosniff"],
  ];
}

/** The switchboard, which has another port of this machine, shows these pages in a frame. */
export const pageHeaders: readonly string[] = pageHeadersWith(
  "frame-ancestors http://127.0.0.1:* http://localhost:*",
);

/** The colours are those of sparekey's status page, which shares nothing else with it. */
const style = readFileSync(new URL("page.css", import.meta.url), "utf8");

/** `body` is markup: the caller escapes what comes from elsewhere. */
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

/** The result is safe in elements and in quoted attributes. */
export function escapedHtml(text: string): string {
  return text.replace(/[&<>"']/g, (char) => entities[char] ?? char);
}
