/** HTML templates: they escape every value, unless it is itself the result of a template. */

export interface Html {
  readonly html: string;
}

export type HtmlPart = string | number | null | Html | readonly HtmlPart[];

/** A null adds nothing. */
export function html(texts: TemplateStringsArray, ...parts: readonly HtmlPart[]): Html {
  const [first = "", ...rest] = texts;
  return { html: rest.reduce((all, text, index) => all + written(parts[index] ?? null) + text, first) };
}

function written(part: HtmlPart): string {
  if (part === null) return "";
  if (typeof part === "string") return escapeHtml(part);
  if (typeof part === "number") return String(part);
  return "html" in part ? part.html : part.map(written).join("");
}

const ESCAPES: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

/** The result is safe in text and in quoted attributes. */
function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => ESCAPES[character] ?? "");
}
