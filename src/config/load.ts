/** Loads a config from its file into a snapshot. All problems are reported at once, and a bad file yields nothing. */
import { dirname, resolve } from "node:path";
import type { Snapshot } from "../core/snapshot.ts";
import { findCombinations } from "./combinations.ts";
import { type ConfigDocument, readDocument } from "./document.ts";
import { type EffectiveFallback, type EffectiveRoute, effectiveRoutes } from "./effective.ts";
import { findIssues } from "./issues.ts";
import { readPages } from "./page-files.ts";
import { asList, asMapping, isMapping, type Mapping } from "./plain-data.ts";
import { byPosition, errorCode, type Finding, formatPath, type Path, type Problem } from "./problem.ts";
import { type FileStamp, readBounded, stampOf } from "./read-file.ts";
import { adminShape, configSchema, tlsShape, validParts } from "./schema.ts";
import { buildSnapshot } from "./snapshot.ts";
import { type ReadFile, readTlsFiles, type TlsMaterial } from "./tls-files.ts";
import { findWarnings } from "./warnings.ts";

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * `htpasswds`: one for each emergency login that is known, even in a config with problems. `warnings`: what works as
 * written, but may not be what is meant.
 */
export type LoadResult = { readonly htpasswds: readonly NamedHtpasswd[] } & (
  | { readonly ok: true; readonly snapshot: Snapshot; readonly warnings: readonly Problem[] }
  | { readonly ok: false; readonly problems: readonly Problem[] }
);

/** An htpasswd file that a route names. It is not read here, because it may be created later. */
export interface NamedHtpasswd {
  /** Absolute, or relative to the working directory. */
  readonly file: string;
  /** As in the config, before environment variables are filled in. */
  readonly written: string;
  /** A problem of the file, at the place where the config names it. */
  problem(message: string): Problem;
}

/** The stamp of every file that was read or could not be read, from just before. */
export type LoadedFiles = ReadonlyMap<string, FileStamp>;

/** Reads and checks `file`, and the TLS files and pages that it names. Never rejects. */
export async function loadConfig(
  file: string,
  env: Environment,
): Promise<LoadResult & { readonly files: LoadedFiles }> {
  const files = new Map<string, FileStamp>();
  const readFile = async (named: string): Promise<Uint8Array> => {
    if (!files.has(named)) files.set(named, await stampOf(named));
    return readBounded(named);
  };
  return { ...(await readConfig(file, env, readFile)), files };
}

async function readConfig(file: string, env: Environment, readFile: ReadFile): Promise<LoadResult> {
  let bytes: Uint8Array;
  try {
    bytes = await readFile(file);
  } catch (error) {
    return failed(file, unreadable(errorCode(error)));
  }
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    return failed(file, "is not UTF-8 text");
  }
  return parseConfig(text, file, env, readFile);
}

function unreadable(code: string): string {
  if (code !== "ENOENT" && code !== "ENOTDIR") return `cannot be read (${code})`;
  return "there is no such file; write it, or name another with --config FILE or $SPAREKEY_CONFIG";
}

/** Messages name `file`, and relative paths start at its folder. Only `readFile` does I/O. */
export async function parseConfig(
  text: string,
  file: string,
  env: Environment,
  readFile: ReadFile,
): Promise<LoadResult> {
  const reading = readDocument(text, env);
  if (!reading.ok) {
    const problems = reading.problems.map((problem) => ({ file, path: "yaml", ...problem }));
    return { ok: false, problems, htpasswds: [] };
  }
  const { document } = reading;
  const shape = shapeProblem(document.data);
  if (shape !== null) {
    return { ok: false, problems: [place(file, document, { path: [], message: shape })], htpasswds: [] };
  }

  const fromHere = (path: string) => resolve(dirname(file), path);
  const routes = effectiveRoutes(document.data);
  const tls = await readAllTls(document, fromHere, readFile);
  const { pages, findings: ofPages } = await readPages(document.data, fromHere, readFile);
  const isFollower = followersOf(reading.findings);
  const judged = [
    ...findIssues(document),
    ...findCombinations(document, routes),
    ...tls.findings,
    ...ofPages,
  ];
  const findings = [...reading.findings, ...judged.filter(({ path }) => !isFollower(path))];
  const htpasswds = namedHtpasswds(document.data, routes)
    .filter(({ path }) => !isFollower(path))
    .map(({ path, htpasswd }) => ({
      file: fromHere(htpasswd),
      written: document.written(path) ?? htpasswd,
      problem: (message: string) => place(file, document, { path, message }),
    }));
  if (findings.length > 0) return { ok: false, problems: sorted(file, document, findings), htpasswds };
  const config = configSchema.parse(document.data);
  return {
    ok: true,
    snapshot: buildSnapshot(config, { routes, tls: tls.materials, resolve: fromHere, page: pageOf(pages) }),
    warnings: sorted(file, document, findWarnings(config, routes)),
    htpasswds,
  };
}

function pageOf(pages: ReadonlyMap<string, Uint8Array>): (file: string) => Uint8Array {
  return (file) => {
    const page = pages.get(file);
    if (page === undefined) throw new Error("a config without problems has read its pages");
    return page;
  };
}

const SMALLEST = "the smallest useful file has routes: with preset and upstream";

function shapeProblem(data: unknown): string | null {
  if (data === null) return `the file is empty; ${SMALLEST}`;
  return isMapping(data) ? null : `the file is not a mapping; ${SMALLEST}`;
}

async function readAllTls(document: ConfigDocument, fromHere: (path: string) => string, readFile: ReadFile) {
  const routes = asList(asMapping(document.data).routes);
  const materials: TlsMaterial[] = [];
  const findings: Finding[] = [];
  for (const [index, route] of routes.entries()) {
    const { ca, cert, key } = validParts(tlsShape, asMapping(route).tls);
    const located = (path: string | null | undefined) => (path ? fromHere(path) : null);
    const files = { ca: located(ca), cert: located(cert), key: located(key) };
    const read = await readTlsFiles(files, ["routes", index, "tls"], readFile);
    materials.push(read.material);
    findings.push(...read.findings);
  }
  return { materials, findings };
}

interface NamedAt {
  readonly path: Path;
  readonly htpasswd: string;
}

function namedHtpasswds(data: unknown, routes: readonly EffectiveRoute[]): NamedAt[] {
  const { admin, routes: list } = asMapping(data);
  const raws = asList(list);
  const { htpasswd } = validParts({ htpasswd: adminShape.htpasswd }, admin);
  return [
    ...(htpasswd ? [{ path: ["admin", "htpasswd"], htpasswd }] : []),
    ...routes.flatMap((route, index) => namedByRoute(asMapping(raws[index]), route, ["routes", index])),
  ];
}

/** A host without an htpasswd of its own uses the route's, which is listed once even if several hosts use it. */
function namedByRoute(raw: Mapping, route: EffectiveRoute, at: Path): NamedAt[] {
  const raws = asList(raw.hosts);
  const own = route.hosts.map((_, index) =>
    Object.hasOwn(asMapping(asMapping(raws[index]).fallback), "htpasswd"),
  );
  const isLogin = ({ mode }: EffectiveFallback) => mode === "basic-auth";
  const name = (path: Path, htpasswd: string | null) =>
    htpasswd === null ? [] : [{ path: [...path, "fallback", "htpasswd"], htpasswd }];
  const usesRoutes = isLogin(route) || route.hosts.some((host, index) => isLogin(host) && !own[index]);
  return [
    ...(usesRoutes ? name(at, route.htpasswd) : []),
    ...route.hosts.flatMap((host, index) =>
      isLogin(host) && own[index] ? name([...at, "hosts", index], host.htpasswd) : [],
    ),
  ];
}

/** Tells whether a value could not even be read. Any further problem at its path then follows from that mistake. */
function followersOf(causes: readonly Finding[]): (path: Path) => boolean {
  const broken = new Set(causes.map(({ path }) => formatPath(path)));
  return (path) => broken.has(formatPath(path));
}

function sorted(file: string, document: ConfigDocument, findings: readonly Finding[]): Problem[] {
  const unique = new Map(findings.map((finding) => [formatPath(finding.path) + finding.message, finding]));
  return [...unique.values()].map((finding) => place(file, document, finding)).sort(byPosition);
}

/** Webhook URLs are secrets, and so may be anything in their place. No message shows it. */
const SECRET = "notify";
/** Values of headers are secrets too. A value without a blank before it is part of a key. */
const WITH_SECRETS: ReadonlySet<Path[number]> = new Set([SECRET, "headers"]);

function place(file: string, document: ConfigDocument, finding: Finding): Problem {
  const { path } = finding;
  const shown = path[0] === SECRET ? "the value" : document.shown(path);
  const message = finding.message.replace(/^\{value\}/, () => shown);
  const isCut = path.some((step) => WITH_SECRETS.has(step));
  return {
    file,
    ...document.position(path, finding.at),
    path: formatPath(isCut ? path.map(cutAtColon) : path),
    message,
  };
}

function cutAtColon(step: Path[number]): Path[number] {
  return typeof step === "number" ? step : step.replace(/:.*$/s, ":…");
}

function failed(file: string, message: string): LoadResult {
  return { ok: false, problems: [{ file, line: 1, column: 1, path: "file", message }], htpasswds: [] };
}
