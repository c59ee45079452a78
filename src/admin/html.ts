/** HTML by template: whatever is put into one is escaped, unless it came out of one itself. */

export interface Html {
  readonly html: string;
}

export type HtmlPart = string | number | null | Html | readonly HtmlPart[];

/** null leaves nothing. */
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

/** Good for text and for attributes in quotes. */
export function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => ESCAPES[character] ?? "");
}
