/** The manifests under k8s/: the real kubectl builds them, and the schemas of their APIs check them. */
import { execFile } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { parse, parseAllDocuments, stringify } from "yaml";

const run = promisify(execFile);

const ROOT = join(import.meta.dirname, "../..");
export const K8S = join(ROOT, "k8s");

export interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly labels?: Readonly<Record<string, string>>;
  };
}

const OLDEST_KUSTOMIZE = 5;
let ready: Promise<void> | undefined;

/** The kustomize of older kubectls fails oddly on components and on `labels` without selectors. */
async function needKustomize(): Promise<void> {
  const needed = "kubectl with kustomize v5 needed";
  const { stdout } = await run("kubectl", ["version", "--client", "--output", "json"]).catch((error) => {
    throw new Error(`${needed}: ${error.message}`);
  });
  const version: string | undefined = JSON.parse(stdout).kustomizeVersion;
  const major = Number(/^v(\d+)\./.exec(version ?? "")?.[1] ?? 0);
  if (major < OLDEST_KUSTOMIZE) throw new Error(`${needed}: this one has ${version ?? "an older one"}`);
}

/** The manifests that `kubectl kustomize FOLDER` prints, in its order. */
export async function build(folder: string): Promise<readonly Manifest[]> {
  ready ??= needKustomize();
  await ready;
  const { stdout, stderr } = await run("kubectl", ["kustomize", folder], { maxBuffer: 16 * 1024 * 1024 });
  if (stderr !== "") throw new Error(`kubectl kustomize ${folder} warns: ${stderr}`);
  return manifestsOf(stdout);
}

/** All documents of a YAML text. Duplicate keys and other mistakes are errors. */
export function manifestsOf(text: string): readonly Manifest[] {
  return parseAllDocuments(text).map((document) => {
    const [problem] = [...document.errors, ...document.warnings];
    if (problem !== undefined) throw problem;
    return document.toJS();
  });
}

/** The manifest of this kind and name, with the type of its API. Throws when there is none, or more than one. */
export function only<Kind extends { kind: string }>(
  manifests: readonly Manifest[],
  kind: Kind["kind"],
  name: string,
): Kind {
  const found = manifests.filter((manifest) => manifest.kind === kind && manifest.metadata.name === name);
  if (found.length !== 1) throw new Error(`${found.length} of ${kind} ${name}`);
  return found[0] as unknown as Kind;
}

/** `Kind namespace/name`. */
export function nameOf({ kind, metadata }: Manifest): string {
  return `${kind} ${metadata.namespace === undefined ? "" : `${metadata.namespace}/`}${metadata.name}`;
}

/** The package with the schema of an API. The domain in `apiVersion` names the project. */
function packageOf(apiVersion: string): string {
  if (apiVersion.startsWith("traefik.io/")) return "@kubernetes-models/traefik";
  if (apiVersion.startsWith("monitoring.coreos.com/")) return "@kubernetes-models/prometheus-operator";
  return "kubernetes-models";
}

const modelOf = ({ apiVersion, kind }: Manifest): string => `${packageOf(apiVersion)}/${apiVersion}/${kind}`;

/** Violations of the API's schema: types, formats, missing fields, values that are not allowed. */
export async function schemaProblems(manifest: Manifest): Promise<readonly string[]> {
  const model = (await import(modelOf(manifest)))[manifest.kind];
  try {
    new model(manifest).validate();
    return [];
  } catch (error) {
    return [`${nameOf(manifest)}: ${error instanceof Error ? error.message : error}`];
  }
}

/**
 * Finds fields that their APIs do not know. The schemas accept such fields, as the API server silently does. The types
 * made from the same schemas do not, so the compiler finds them. `folder`: an empty one below this project.
 */
export async function unknownFields(
  folder: string,
  manifests: readonly Manifest[],
): Promise<readonly string[]> {
  const literals = manifests.map((manifest) => {
    const type = `import("${modelOf(manifest)}").I${manifest.kind}`;
    return `(${JSON.stringify(manifest)}) satisfies ${type};`;
  });
  const compilerOptions = {
    target: "es2024",
    module: "nodenext",
    strict: true,
    exactOptionalPropertyTypes: true,
    skipLibCheck: true,
    noEmit: true,
    types: [],
  };
  await writeFile(join(folder, "package.json"), JSON.stringify({ type: "module" }));
  await writeFile(join(folder, "manifests.ts"), `${literals.join("\n")}\nexport {};\n`);
  await writeFile(
    join(folder, "tsconfig.json"),
    JSON.stringify({ compilerOptions, files: ["manifests.ts"] }),
  );
  const tsc = join(ROOT, "node_modules/typescript/bin/tsc");
  // tap adds options to every process that is started, and the compiler cannot be loaded with these.
  const plain = ["-u", "NODE_OPTIONS", process.execPath];
  const failed = await run("env", [...plain, tsc, "--project", folder, "--pretty", "false"]).then(
    () => null,
    (error: { readonly stdout: string; readonly stderr: string }) => `${error.stdout}${error.stderr}`,
  );
  if (failed === null) return [];
  const problems = failed.split("\n").flatMap((line) => {
    const [, number, message] = /^\S*manifests\.ts\((\d+),\d+\): error TS\d+: (.*)$/.exec(line) ?? [];
    const manifest = manifests[Number(number) - 1];
    return manifest === undefined ? [] : [`${nameOf(manifest)}: ${message}`];
  });
  return problems.length > 0 ? problems : [failed];
}

const UNITS: Readonly<Record<string, number>> = {
  m: 1e-3,
  "": 1,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
};

/** A Kubernetes quantity as a number: bytes or cores. */
export function quantity(written: unknown): number {
  const [, digits, unit] = /^(\d+(?:\.\d+)?)(m|k|M|G|Ki|Mi|Gi|)$/.exec(String(written)) ?? [];
  const scale = UNITS[unit ?? "none"];
  if (scale === undefined) throw new Error(`no quantity: ${written}`);
  return Number(digits) * scale;
}

/** Throws for a missing part of a manifest, because two missing parts would be equal. */
export function given<Value>(value: Value | null | undefined, what = "a part of the manifest"): Value {
  if (value === undefined || value === null) throw new Error(`${what} is missing`);
  return value;
}

/** A config with the same routes on free ports of this machine, and with upstreams that refuse. */
export function offline(config: string): string {
  const local = config
    .replaceAll("0.0.0.0:9000", "127.0.0.1:0")
    .replaceAll("0.0.0.0:8080", "127.0.0.2:0")
    .replaceAll(/http:\/\/[a-z.-]+\.svc\.cluster\.local(:\d+)?/g, "http://127.0.0.1:1");
  return stringify({ admin: { listen: "127.0.0.1:0" }, routes: parse(local).routes });
}
