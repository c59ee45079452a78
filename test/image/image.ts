/**
 * The Dockerfile built by buildah. Nothing is pulled: in place of the base images stand two of the same shape, made of
 * this machine's programs. The one to build on has a shell, Node and npm; the one to run on has Node and the libraries
 * it is linked to, and nothing else.
 */
import { execFile } from "node:child_process";
import {
  chmod,
  copyFile,
  mkdir,
  readdir,
  readFile,
  realpath,
  statfs,
  symlink,
  writeFile,
} from "node:fs/promises";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import type { Test } from "tap";
import { temporaryFolder } from "../support/processes.ts";

const ROOT = join(import.meta.dirname, "../..");
const run = promisify(execFile);

/** Where a base image has its Node, as an empty file to mount the real one on: it is large. */
export const NODE = "/nodejs/bin/node";
/** Far more than a build takes. */
const ROOM = 2 * 1024 ** 3;
/** Mounted when it runs. */
const EMPTY_FILES = [NODE, "/dev/null"];
const EMPTY_FOLDERS = ["/proc", "/etc/sparekey/config", "/etc/sparekey/secret"];

/** Of an image, as Docker has it. */
export interface ImageConfig {
  readonly User: string;
  readonly Env: readonly string[];
  readonly Entrypoint: readonly string[];
  readonly Cmd: readonly string[];
  readonly WorkingDir: string;
  readonly StopSignal: string;
  readonly ExposedPorts: Readonly<Record<string, unknown>>;
  readonly Labels: Readonly<Record<string, string>>;
  /** Times in nanoseconds. */
  readonly Healthcheck: {
    readonly Test: readonly [kind: string, ...command: string[]];
    readonly Interval: number;
    readonly Timeout: number;
  };
}

export interface Image {
  /** Its files. */
  readonly root: string;
  readonly config: ImageConfig;
  /** What an engine gets of the checkout, by .dockerignore. */
  readonly context: readonly string[];
}

/** Removed with the test. */
export async function buildImage(t: Test): Promise<Image> {
  const folder = await roomyFolder(t);
  const buildah = async (args: readonly string[]): Promise<string> => {
    const storage = ["--root", join(folder, "storage"), "--runroot", join(folder, "run")];
    const { stdout } = await run("buildah", [...storage, ...args], { maxBuffer: 16 * 1024 * 1024 });
    return stdout;
  };
  await mkdir(join(folder, "build"));
  await mkdir(join(folder, "runtime"));
  const [cache, registry] = await Promise.all([npmConfig("cache"), npmConfig("registry")]);
  const npm = dirname(dirname(await realpath(await which("npm"))));
  await buildBase(join(folder, "build"), registry);
  await runtimeBase(join(folder, "runtime"));
  const base = (name: string): readonly string[] => [
    "bud",
    "--layers=false",
    "-q",
    "-t",
    name,
    join(folder, name),
  ];
  await buildah(base("build"));
  await buildah(base("runtime"));
  const volumes = [
    "/usr:/usr:ro",
    `${dirname(process.execPath)}:/node:ro`,
    `${npm}:/npm:ro`,
    // What `npm ci` left there when this checkout was set up.
    `${cache}:/root/.npm`,
  ];
  await buildah([
    ...[
      "bud",
      "--isolation",
      "chroot",
      "--network",
      "host",
      "--format",
      "docker",
      "--layers=false",
      "--pull-never",
    ],
    ...volumes.flatMap((volume) => ["--volume", volume]),
    ...["--build-arg", "BUILD_IMAGE=localhost/build", "--build-arg", "RUNTIME_IMAGE=localhost/runtime"],
    ...["--build-arg", "REVISION=abc123", "-t", "sparekey", ROOT],
  ]);
  const filesOf = async (name: string): Promise<string> => {
    const container = (await buildah(["from", "--pull-never", `localhost/${name}`])).trim();
    t.teardown(() => buildah(["umount", container]));
    return (await buildah(["mount", container])).trim();
  };
  await writeFile(join(folder, "everything"), "FROM scratch\nCOPY . /\n");
  await buildah(["bud", "--layers=false", "-q", "-t", "context", "-f", join(folder, "everything"), ROOT]);
  const inspected = JSON.parse(await buildah(["inspect", "--type", "image", "localhost/sparekey"]));
  const [root, context] = [await filesOf("sparekey"), await readdir(await filesOf("context"))];
  return { root, config: inspected.Docker.config, context };
}

/** In memory where there is room: an install of all packages is ten thousand small files. */
async function roomyFolder(t: Test): Promise<string> {
  const memory = "/dev/shm";
  const { bavail, bsize } = await statfs(memory).catch(() => ({ bavail: 0, bsize: 0 }));
  return temporaryFolder(t, bavail * bsize > ROOM ? memory : undefined);
}

async function npmConfig(key: string): Promise<string> {
  return (await run("npm", ["config", "get", key], { cwd: ROOT })).stdout.trim();
}

async function which(program: string): Promise<string> {
  return (await run("sh", ["-c", `command -v ${program}`])).stdout.trim();
}

/** As node:slim: Debian's programs are this machine's, mounted while it builds. */
async function buildBase(folder: string, registry: string): Promise<void> {
  for (const name of ["bin", "lib", "lib64"]) await symlink(`usr/${name}`, join(folder, name));
  await mkdir(join(folder, "opt"));
  await writeFile(join(folder, "opt/npm"), '#!/bin/sh\nexec node /npm/bin/npm-cli.js "$@"\n');
  await chmod(join(folder, "opt/npm"), 0o755);
  const lines = [
    "FROM scratch",
    "COPY . /",
    "ENV PATH=/node:/opt:/usr/bin HOME=/root",
    `ENV npm_config_offline=true npm_config_registry=${registry} npm_config_update_notifier=false`,
  ];
  await writeFile(join(folder, "Dockerfile"), `${lines.join("\n")}\n`);
}

/** As gcr.io/distroless/nodejs: no shell, no other program. */
async function runtimeBase(folder: string): Promise<void> {
  for (const file of EMPTY_FILES) {
    await mkdir(join(folder, dirname(file)), { recursive: true });
    await writeFile(join(folder, file), "");
  }
  for (const path of EMPTY_FOLDERS) await mkdir(join(folder, path), { recursive: true });
  const linked = (await run("ldd", [process.execPath])).stdout;
  for (const [library = ""] of linked.matchAll(/\/\S+/g)) {
    await mkdir(join(folder, dirname(library)), { recursive: true });
    await copyFile(await realpath(library), join(folder, library));
  }
  const env = "ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
  await writeFile(join(folder, "Dockerfile"), `FROM scratch\nCOPY . /\n${env}\nENTRYPOINT ["${NODE}"]\n`);
}

/** Packages of the lockfile that are for production, by their folder. */
export async function productionPackages(): Promise<readonly string[]> {
  const lock = JSON.parse(await readFile(join(ROOT, "package-lock.json"), "utf8"));
  return Object.entries<{ dev?: boolean; optional?: boolean }>(lock.packages)
    .filter(([path, { dev, optional }]) => path !== "" && !dev && !optional)
    .map(([path]) => path);
}
