/** systemd/sparekey.service, judged by systemd's own program, and what it allows by what sparekey asks of the system. */
import { chmod, cp, mkdir, readFile, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { dirname, join } from "node:path";
import t, { type Test } from "tap";
import { listen } from "../../src/demo/listening.ts";
import { neededReexec } from "../../src/process/reexec.ts";
import { ask, basic } from "../support/app.ts";
import { eventually, finished, start, temporaryFolder } from "../support/processes.ts";
import { missing } from "../support/programs.ts";
import { htpasswdOf, whenServing } from "../support/sparekey.ts";

const ROOT = join(import.meta.dirname, "../..");
const UNIT = join(ROOT, "systemd/sparekey.service");
/** What is left of it: the network, and the sockets of its processes among each other. */
const MOST_EXPOSURE = 1.5;

const skip = missing("strace", "systemd-analyze");
const unit = await readFile(UNIT, "utf8");

/** All values of a key, in the order written. */
function values(key: string): readonly string[] {
  return [...unit.matchAll(new RegExp(`^${key}=(.*)$`, "gm"))].map(([, value = ""]) => value);
}

const [command = ""] = values("ExecStart");
const [program = "", ...args] = command.split(" ");
const options = args.slice(
  0,
  args.findIndex((arg) => arg.endsWith("main.js")),
);

t.test("systemd understands every line", { skip }, async (t) => {
  const root = await temporaryFolder(t);
  await cp("/lib/systemd/system", join(root, "lib/systemd/system"), {
    recursive: true,
    verbatimSymlinks: true,
  });
  for (const file of [program, "/bin/kill"]) {
    await mkdir(join(root, dirname(file)), { recursive: true });
    await writeFile(join(root, file), "#!/bin/sh\n");
    await chmod(join(root, file), 0o755);
  }
  const verify = async (text: string): Promise<string> => {
    await mkdir(join(root, "etc/systemd/system"), { recursive: true });
    await writeFile(join(root, "etc/systemd/system/sparekey.service"), text);
    const verified = start(t, "systemd-analyze", [
      "verify",
      `--root=${root}`,
      "--recursive-errors=no",
      "sparekey.service",
    ]);
    const { code, stdout, stderr } = await finished(verified);
    return `${code} ${stdout}${stderr}`;
  };
  t.equal(await verify(unit), "0 ");
  t.match(
    await verify(unit.replace("RestartSec=1", "RestartSec=soon")),
    /RestartSec|parse sec value/,
    "it would say so",
  );
});

t.test(`systemd finds it exposed by ${MOST_EXPOSURE} of 10 at most`, { skip }, async (t) => {
  const review = (most: number) =>
    finished(
      start(t, "systemd-analyze", [
        "security",
        "--offline=yes",
        "--no-pager",
        `--threshold=${most * 10}`,
        UNIT,
      ]),
    );
  const { code, stdout } = await review(MOST_EXPOSURE);
  t.equal(code, 0, /Overall exposure[^\n]*/.exec(stdout)?.[0] ?? "it says nothing");
  t.equal((await review(1)).code, 1, "it would say so");
});

t.test("a start is the only one, and a stop leaves time to drain", async (t) => {
  const environment = Object.fromEntries(values("Environment").map((line) => line.split("=", 2)));
  t.equal(neededReexec({ options, env: environment, pid: 7 }), null);
  t.ok(Number(values("TimeoutStopSec")[0]) > 25 + 12, "drain.timeout, and 12 s for files that hang");
});

/** Names of sets and calls in each set of system calls. */
async function callSets(t: Test): Promise<ReadonlyMap<string, readonly string[]>> {
  const { stdout } = await finished(start(t, "systemd-analyze", ["syscall-filter", "--no-pager"]));
  const sets = new Map<string, string[]>();
  let members: string[] = [];
  for (const line of stdout.split("\n")) {
    const name = line.trim();
    if (/^@\S+$/.test(line)) {
      members = [];
      sets.set(line, members);
    } else if (line.startsWith("    ") && !name.startsWith("#")) members.push(name);
  }
  return sets;
}

/** As SystemCallFilter= of systemd.exec(5) adds them up. */
function allowedBy(sets: ReadonlyMap<string, readonly string[]>): ReadonlySet<string> {
  const callsOf = (name: string): readonly string[] =>
    name.startsWith("@") ? (sets.get(name) ?? []).flatMap(callsOf) : [name];
  const allowed = new Set(callsOf("@default"));
  for (const line of values("SystemCallFilter")) {
    const isTaken = line.startsWith("~");
    for (const call of line.replace(/^~/, "").split(" ").flatMap(callsOf)) {
      if (isTaken) allowed.delete(call);
      else allowed.add(call);
    }
  }
  return allowed;
}

t.test("all that sparekey asks of the system is allowed", { skip }, async (t) => {
  const folder = await temporaryFolder(t);
  const upstream = createServer((request, response) => request.pipe(response));
  const { port, close } = await listen(upstream, 0);
  t.teardown(close);
  const trace = join(folder, "trace");
  const config = join(folder, "sparekey.yaml");
  await writeFile(join(folder, "htpasswd"), htpasswdOf({ admin: "correct horse" }));
  await writeFile(
    config,
    `
listen: "127.0.0.1:0"
admin: { listen: "127.0.0.1:0", htpasswd: htpasswd }
routes:
  - { preset: authentik, upstream: "http://127.0.0.1:1", fallback: { mode: basic-auth, htpasswd: htpasswd } }
  - { name: plain, path: /plain, upstream: "http://localhost:${port}", fallback: { mode: none } }
`,
  );
  // -D: the tracer is a child, so that signals are sparekey's and the exit code too.
  const traced = ["-D", "-f", "-q", "--signal=none", "-o", trace, process.execPath, ...options];
  const env = { MALLOC_ARENA_MAX: "1" };
  const running = start(t, "strace", [...traced, join(ROOT, "src/main.ts"), "run", "--config", config], {
    env,
  });
  const sparekey = await whenServing(running, folder);
  const [{ url }] = sparekey.listen;
  const check = `${url}/outpost.goauthentik.io/auth/traefik`;
  const headers = { authorization: basic("admin", "correct horse"), "x-forwarded-for": "192.0.2.7" };
  t.equal((await ask(check, { headers })).status, 200, "an emergency login");
  t.equal(
    (await ask(`${url}/plain`, { method: "POST", body: "odd" })).text,
    "odd",
    "a check that is not plain",
  );
  t.equal((await ask(`${sparekey.admin.url}/-/reload`, { method: "POST", headers })).status, 200, "a reload");
  t.same(await sparekey.stop(), { code: 0, signal: null }, "a drain");

  const calls = await eventually(
    () => "the trace does not end",
    async () => {
      const text = await readFile(trace, "utf8");
      return new RegExp(`^${running.pid} +\\+\\+\\+ exited`, "m").test(text) ? namesOf(text) : null;
    },
  );
  t.ok(calls.has("epoll_ctl") && calls.has("clone3"), "calls were seen");
  const allowed = allowedBy(await callSets(t));
  t.same([...calls].filter((call) => !allowed.has(call)).sort(), []);
});

/** A line is `PID name(…`; what goes on with an interrupted call, or tells of a signal, is not. */
function namesOf(trace: string): ReadonlySet<string> {
  return new Set([...trace.matchAll(/^\d+ +([a-z_0-9]+)\(/gm)].map(([, name = ""]) => name));
}
