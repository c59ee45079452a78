/** The image: built from the Dockerfile by buildah, then run as an engine would, with all that is promised of it. */
import { chmod, readdir, readFile, rename, stat, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { join } from "node:path";
import t, { type Test } from "tap";
import { listen } from "../../src/demo/listening.ts";
import { neededReexec } from "../../src/process/reexec.ts";
import { ask, basic } from "../support/app.ts";
import { type Finished, finished, temporaryFolder } from "../support/processes.ts";
import { RIGHT_TO_MOUNT, skipFileWithout } from "../support/programs.ts";
import { htpasswdOf, whenServing } from "../support/sparekey.ts";
import { type Container, inContainer, type Mounts, startContainer } from "./container.ts";
import { buildImage, productionPackages } from "./image.ts";

skipFileWithout(t, "buildah", "nsenter", "unshare", RIGHT_TO_MOUNT);

const ROOT = join(import.meta.dirname, "../..");
const [CONFIG, SECRET] = ["/etc/sparekey/config", "/etc/sparekey/secret"];
const ADMIN = { user: "admin", password: "correct horse" } as const;
const CHECK = "/outpost.goauthentik.io/auth/traefik";

// Beside other tests, and on a slow disk.
t.setTimeout(120_000);

const image = await buildImage(t);
const { root, config, context } = image;
const paths = (await readdir(join(root, "app"), { recursive: true })).sort();

t.test("holds what is needed to run, and nothing else", async (t) => {
  t.same(await readdir(join(root, "app")), ["LICENSE", "dist", "node_modules", "package.json"]);
  const packages = await productionPackages();
  const manifests = paths.filter((path) =>
    /^(.*\/)?node_modules\/(@[^/]+\/)?[^/@]+\/package\.json$/.test(path),
  );
  t.same(
    manifests.map((path) => path.replace("/package.json", "")).sort(),
    [...packages].sort(),
    "packages: those of production",
  );
  const useless = /\.([cm]?ts|map|md|cc?|h|gyp)$|\.musl\.node$|(^|\/)(tests?|docs|\.bin|\.github)(\/|$)/;
  t.same(
    paths.filter((path) => useless.test(path) && !/licen[cs]e/i.test(path)),
    [],
    "no source, no test, no map, no page",
  );
  t.ok(
    paths.some((path) => /node_modules\/bcrypt\/LICENSE$/.test(path)),
    "licences are kept",
  );
  for (const path of ["", "dist/main.js", "node_modules", "package.json"]) {
    const { uid, mode } = await stat(join(root, "app", path));
    t.same(
      { uid, forOthers: mode & 0o022 },
      { uid: 0, forOthers: 0 },
      `/app/${path}: sparekey cannot change it`,
    );
  }
});

t.test("is made of sources alone: no config or password is sent to an engine", async (t) => {
  const sources = [
    "LICENSE",
    "package-lock.json",
    "package.json",
    "src",
    "tsconfig.build.json",
    "tsconfig.json",
  ];
  t.same([...context].sort(), sources);
});

t.test("tells an engine how to run it", async (t) => {
  const { version, license, description } = JSON.parse(await readFile(join(ROOT, "package.json"), "utf8"));
  t.match(config, {
    User: /^[1-9]\d*:[1-9]\d*$/,
    StopSignal: "SIGTERM",
    Cmd: ["run"],
    ExposedPorts: { "8080/tcp": {}, "9000/tcp": {}, "9090/tcp": {} },
    Labels: {
      "org.opencontainers.image.title": "sparekey",
      "org.opencontainers.image.version": version,
      "org.opencontainers.image.licenses": license,
      "org.opencontainers.image.description": description,
      "org.opencontainers.image.revision": "abc123",
    },
  });
  const [, ...options] = config.Entrypoint.slice(0, -1);
  const env = Object.fromEntries(config.Env.map((line) => line.split("=", 2)));
  t.equal(neededReexec({ options, env, pid: 1 }), null, "no second start");
  t.equal(config.Healthcheck.Test[0], "CMD", "there is no shell");
});

t.test("serves read-only, as a user without a name, and does all it is for", async (t) => {
  const upstream = await listen(
    createServer((request, response) => request.pipe(response)),
    0,
  );
  t.teardown(upstream.close);
  const { mounts, writeConfig, writeUsers } = await folders(t, yamlOf(upstream.port));
  const container = startContainer(t, image, mounts);
  const sparekey = await whenServing(container, "");
  const [{ url }] = sparekey.listen;
  const pid = await container.first;

  const status = await readFile(`/proc/${pid}/status`, "utf8");
  t.match(status, /^Uid:\t65532\t65532\t65532\t65532$/m);
  t.match(status, /^CapEff:\t0+$/m);
  t.match(status, /^NSpid:\t\d+\t1$/m, "it is number 1 in there");
  const started = await readFile(`/proc/${pid}/cmdline`, "utf8");
  t.same(started.split("\0").slice(0, -1), [...config.Entrypoint, "run"], "it was started once");
  t.notMatch(await readFile(`/proc/${pid}/environ`, "utf8"), "SPAREKEY_RESTARTED");
  t.equal((await healthOf(t, container)).code, 0, "healthy on ports of the system's choice");

  const headers = { authorization: basic(ADMIN.user, ADMIN.password), "x-forwarded-for": "192.0.2.7" };
  await sparekey.log(({ msg }) => /^htpasswd unreadable/.test(msg));
  t.equal((await ask(url + CHECK, { headers })).status, 503, "without a password file nobody gets in");
  await writeUsers();
  await sparekey.log(({ msg }) => msg === "htpasswd loaded");
  t.equal((await ask(url + CHECK, { headers })).status, 200, "bcrypt's binary is there");
  t.equal(
    (await ask(`${url}/plain`, { method: "POST", body: "odd" })).text,
    "odd",
    "Fastify and undici are there",
  );
  const reload = { method: "POST", headers };
  t.equal((await ask(`${sparekey.admin.url}/-/reload`, reload)).status, 200, "the admin's login is there");

  const reloads = (): number => sparekey.logs().filter(({ msg }) => msg === "config reloaded").length;
  t.equal(reloads(), 1);
  process.kill(pid, "SIGHUP");
  await sparekey.log(() => reloads() === 2);
  await writeConfig(yamlOf(upstream.port).replace("/plain", "/other"));
  await sparekey.log(() => reloads() === 3);
  t.equal(
    (await ask(`${url}/other`, { method: "POST", body: "new" })).text,
    "new",
    "the new config is in use",
  );
  await writeConfig("listen: 5\n");
  await sparekey.log(({ msg }) => /^config refused/.test(msg));
  t.equal((await healthOf(t, container)).code, 0, "a refused config does not make it unhealthy");

  const mounted = (await readFile(`/proc/${pid}/mountinfo`, "utf8")).trim().split("\n");
  const places = mounted
    .map((line) => line.split(" "))
    .filter(([, , , , , options = ""]) => !options.startsWith("ro,"));
  t.same(
    places.map(([, , , , place]) => place),
    ["/proc"],
    "no place to write to",
  );
  t.same(await zombiesOf(pid), [], "the processes that read the config are gone");
  process.kill(pid, "SIGSTOP");
  const { code, stderr } = await healthOf(t, container);
  process.kill(pid, "SIGCONT");
  t.equal(code, 1, "unhealthy while it hangs");
  t.match(stderr, /^no answer to \/healthz within 2000 ms: 127\.0\.0\.1 port \d+, 127\.0\.0\.1 port \d+\n$/);

  process.kill(pid, config.StopSignal);
  t.same(await container.ended, { code: 0, signal: null });
  t.equal(sparekey.logs().at(-1)?.msg, "drain ended");
  t.equal(container.stderr(), "");
});

t.test("workers are as healthy", async (t) => {
  const container = startContainer(t, image, (await folders(t, `workers: 2\n${yamlOf(1)}`)).mounts);
  await whenServing(container, "");
  t.equal((await healthOf(t, container)).code, 0);
  process.kill(await container.first, config.StopSignal);
  t.same(await container.ended, { code: 0, signal: null });
});

t.test("other commands take the place of CMD", async (t) => {
  const { version } = JSON.parse(await readFile(join(ROOT, "package.json"), "utf8"));
  const given = { [CONFIG]: join(ROOT, "compose/config") };
  const told = await finished(startContainer(t, image, given, { args: ["--version"] }));
  t.same(told, { code: 0, stdout: `${version}\n`, stderr: "" });
  const made = await finished(
    startContainer(
      t,
      image,
      {},
      { args: ["passwd", ADMIN.user, "--cost", "10"], input: `${ADMIN.password}\n` },
    ),
  );
  t.match(made, { code: 0, stdout: /^admin:\$2y\$10\$[^\n]+\n$/, stderr: "" });
  const secret = await readableFolder(t);
  await writeFile(join(secret, "htpasswd"), made.stdout);
  const checked = await finished(
    startContainer(t, image, { ...given, [SECRET]: secret }, { args: ["check"] }),
  );
  t.match(
    checked,
    { code: 0, stdout: /: 2 routes, no problems\n$/, stderr: "" },
    "the config of docker-compose.yaml",
  );
});

function yamlOf(port: number): string {
  return `
listen: "127.0.0.1:0"
admin: { listen: "127.0.0.1:0", htpasswd: ${SECRET}/htpasswd }
routes:
  - { preset: authentik, upstream: "http://127.0.0.1:1", fallback: { mode: basic-auth, htpasswd: ${SECRET}/htpasswd } }
  - { name: plain, path: /plain, upstream: "http://127.0.0.1:${port}", fallback: { mode: none } }
`;
}

interface Folders {
  readonly mounts: Mounts;
  /** In place of the file there is, at once. */
  writeConfig(yaml: string): Promise<void>;
  writeUsers(): Promise<void>;
}

/** What is mounted. There is no password file yet. */
async function folders(t: Test, yaml: string): Promise<Folders> {
  const [own, secret] = [await readableFolder(t), await readableFolder(t)];
  const writeConfig = async (text: string): Promise<void> => {
    await writeFile(join(own, "new"), text);
    await rename(join(own, "new"), join(own, "sparekey.yaml"));
  };
  await writeConfig(yaml);
  return {
    mounts: { [CONFIG]: own, [SECRET]: secret },
    writeConfig,
    writeUsers: () => writeFile(join(secret, "htpasswd"), htpasswdOf({ [ADMIN.user]: ADMIN.password })),
  };
}

/** By the user in the container too. */
async function readableFolder(t: Test): Promise<string> {
  const folder = await temporaryFolder(t);
  await chmod(folder, 0o755);
  return folder;
}

/** What the image's HEALTHCHECK says. */
async function healthOf(t: Test, container: Container): Promise<Finished> {
  const [, ...command] = config.Healthcheck.Test;
  return finished(await inContainer(t, image, container, command));
}

/** Children of `parent` that have ended and wait for it to hear of it. */
async function zombiesOf(parent: number): Promise<readonly string[]> {
  const numbers = (await readdir("/proc")).filter((name) => /^\d+$/.test(name));
  const states = await Promise.all(
    // One that ends meanwhile is none.
    numbers.map((number) => readFile(`/proc/${number}/status`, "utf8").catch(() => "")),
  );
  return states.filter((state) => /^State:\tZ/m.test(state) && state.includes(`\nPPid:\t${parent}\n`));
}
