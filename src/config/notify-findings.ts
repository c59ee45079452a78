/** What the entries of `notify` may not hold, each by itself and together. */
import { asList, asMapping } from "./plain-data.ts";
import { type Finding, formatPath, type Path } from "./problem.ts";
import { type HeaderOwner, headerFindings } from "./request-headers.ts";
import { notifyShape, validParts } from "./schema.ts";

const OWNER: HeaderOwner = { what: "a message", host: "url" };

/** `raw`: the document's `notify`. */
export function notifyFindings(raw: unknown): Finding[] {
  const at = (index: number): Path => ["notify", index];
  const entries = asList(raw).map(asMapping);
  const headers = entries.flatMap((entry, index) =>
    headerFindings(entry.headers, [...at(index), "headers"], OWNER),
  );
  const urls = entries.map((entry) => urlText(entry));
  const twice = urls.flatMap((url, index): Finding[] => {
    const first = urls.indexOf(url);
    if (url === null || first === index) return [];
    return [
      { path: [...at(index), "url"], message: `the same as that of ${formatPath(at(first))}; keep one` },
    ];
  });
  return [...headers, ...twice];
}

/** In one spelling; null: it is no good by itself. */
function urlText(entry: unknown): string | null {
  const { url } = validParts({ url: notifyShape.url }, entry);
  return url === undefined ? null : JSON.stringify([url.origin, url.target]);
}
