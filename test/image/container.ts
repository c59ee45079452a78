/**
 * What an engine does to start a container, by util-linux: a mount and a process namespace of its own, the image's
 * files read-only with nothing writable among them, its environment and its user. The network stays this machine's.
 */
import { readFile } from "node:fs/promises";
import type { Test } from "tap";
import { eventually, type Running, start } from "../support/processes.ts";
import { type Image, NODE } from "./image.ts";

/** Folders and files of this machine, by where they are mounted read-only. */
export type Mounts = Readonly<Record<string, string>>;

export interface Container extends Running {
  /** Of the process that is number 1 in there, as it is numbered here. */
  readonly first: Promise<number>;
}

/** `set -e` ends it at the first mount that fails. Node and /dev/null stand for the runtime's own. */
const ENTER = `
set -eu
root=$1; shift
mount --bind "$root" "$root"
while [ "$1" != -- ]; do
  mount --bind "$1" "$root$2"
  mount -o remount,bind,ro "$root$2"
  shift 2
done
shift
mount -t proc -o nosuid,nodev,noexec proc "$root/proc"
mount -o remount,bind,ro "$root"
exec "$@"
`;

/** The image's ENTRYPOINT with `args`, or its CMD. Ended with the test. */
export function startContainer(
  t: Test,
  { root, config }: Image,
  mounts: Mounts,
  { args = config.Cmd, input = "" }: { readonly args?: readonly string[]; readonly input?: string } = {},
): Container {
  const places = Object.entries({ [NODE]: process.execPath, "/dev/null": "/dev/null", ...mounts });
  const bound = places.flatMap(([place, source]) => [source, place]);
  const [uid = "", gid = ""] = config.User.split(":");
  const running = start(
    t,
    "unshare",
    [
      ...["--mount", "--propagation", "private", "--pid", "--fork", "--kill-child=SIGKILL"],
      ...["sh", "-c", ENTER, "sh", root, ...bound, "--", "/usr/bin/env", "-i", ...config.Env],
      ...["/usr/bin/unshare", "--root", root, "--wd", config.WorkingDir, "--setgid", gid, "--setuid", uid],
      ...config.Entrypoint,
      ...args,
    ],
    { input },
  );
  const first = eventually(
    () => "nothing was started",
    async () => {
      if (running.over() !== null) throw new Error(`it ended: ${running.stderr()}`);
      const child = await readFile(`/proc/${running.pid}/task/${running.pid}/children`, "utf8");
      return Number.parseInt(child, 10) || null;
    },
  );
  first.catch(() => {});
  return { ...running, first };
}

/** `command` in a container that runs, as `docker exec` would. */
export async function inContainer(
  t: Test,
  { config }: Image,
  container: Container,
  command: readonly string[],
): Promise<Running> {
  const [uid = "", gid = ""] = config.User.split(":");
  const into = ["--target", `${await container.first}`, "--mount", "--pid", "--root", "--wd"];
  return start(t, "/usr/bin/env", [
    ...["-i", ...config.Env, "/usr/bin/nsenter", ...into, "--setgid", gid, "--setuid", uid],
    ...command,
  ]);
}
