/** Reads the files of `fallback.page`, which people see in a fallback instead of our own pages. */
import { isUtf8 } from "node:buffer";
import { fallbackShape, hostFallbackShape } from "./fallback-schema.ts";
import { asList, asMapping } from "./plain-data.ts";
import { errorCode, type Finding, type Path } from "./problem.ts";
import { validParts } from "./schema.ts";
import type { ReadFile } from "./tls-files.ts";

/** The size is limited because many replies of an outage carry the page. */
const MOST_BYTES = 64 * 1024;

/** The keys of `pages` are the files as the config names them; `resolve` makes paths of them. */
export async function readPages(
  data: unknown,
  resolve: (file: string) => string,
  readFile: ReadFile,
): Promise<{ readonly pages: ReadonlyMap<string, Uint8Array>; readonly findings: readonly Finding[] }> {
  const pages = new Map<string, Uint8Array>();
  const findings: Finding[] = [];
  for (const { path, file } of namedPages(data)) {
    const read = pages.get(file) ?? (await readPage(resolve(file), readFile));
    if (typeof read === "string") findings.push({ path, message: `{value} ${read}` });
    else pages.set(file, read);
  }
  return { pages, findings };
}

interface NamedPage {
  readonly path: Path;
  readonly file: string;
}

function namedPages(data: unknown): NamedPage[] {
  return asList(asMapping(data).routes).flatMap((route, index) => {
    const { fallback, hosts } = asMapping(route);
    const at = ["routes", index];
    const { page } = validParts({ page: fallbackShape.page }, fallback);
    const ofHosts = asList(hosts).flatMap((host, position) => {
      const own = validParts({ page: hostFallbackShape.page }, asMapping(host).fallback);
      return named([...at, "hosts", position], own.page);
    });
    return [...named(at, page), ...ofHosts];
  });
}

function named(at: Path, file: string | null | undefined): NamedPage[] {
  return file ? [{ path: [...at, "fallback", "page"], file }] : [];
}

/** A text instead of bytes says what is wrong with the page. */
async function readPage(file: string, readFile: ReadFile): Promise<Uint8Array | string> {
  let bytes: Uint8Array;
  try {
    bytes = await readFile(file);
  } catch (error) {
    return `cannot be read (${errorCode(error)})`;
  }
  if (bytes.length === 0) return "is empty; write HTML, or null for sparekey's own page";
  if (bytes.length > MOST_BYTES) return `has ${bytes.length} bytes; write 64 KiB at most`;
  return isUtf8(bytes) ? bytes : "is not UTF-8 text";
}
