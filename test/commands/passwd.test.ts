import { execFile, spawn } from "node:child_process";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import { promisify } from "node:util";
import t, { type Test } from "tap";
import { DEFAULT_COST, passwdCommand } from "../../src/commands/passwd.ts";
import { missing } from "../support/programs.ts";

const SOURCE = join(import.meta.dirname, "../../src/commands/passwd.ts");
const COST = 10;
const skip = missing("htpasswd", "script");

function ioFor(typed: readonly (string | Buffer)[], terminal = false) {
  const raw: boolean[] = [];
  const stdin = Object.assign(new PassThrough(), {
    isTTY: terminal,
    setRawMode: (on: boolean) => raw.push(on),
  });
  for (const chunk of typed) stdin.write(chunk);
  stdin.end();
  const text = { out: "", err: "" };
  const out = { write: (chunk: string) => (text.out += chunk) };
  const err = { write: (chunk: string) => (text.err += chunk) };
  return { io: { stdin, out, err }, text, raw };
}

/** Asks the htpasswd program whether a line fits a password. */
async function fits(t: Test, htpasswdLine: string, user: string, password: string): Promise<boolean> {
  const file = join(t.testdir({ htpasswd: htpasswdLine }), "htpasswd");
  try {
    await promisify(execFile)("htpasswd", ["-v", "-b", file, user, password]);
    return true;
  } catch {
    return false;
  }
}

t.test("from a pipe: one line, its end cut", { skip }, async (t) => {
  for (const input of ["pä ss", "pä ss\n", "pä ss\r\n", "pä ss\nmore\n"]) {
    const { io, text } = ioFor([input]);
    t.equal(await passwdCommand("jürgen", COST, io), 0);
    t.match(text.out, /^jürgen:\$2y\$10\$[./A-Za-z0-9]{53}\n$/);
    t.equal(text.err, "");
    t.ok(await fits(t, text.out, "jürgen", "pä ss"));
    t.notOk(await fits(t, text.out, "jürgen", "pä s"));
  }
});

t.test("in pieces, a character cut in two", { skip }, async (t) => {
  const bytes = Buffer.from("pä\n");
  const { io, text } = ioFor([bytes.subarray(0, 2), bytes.subarray(2)]);
  t.equal(await passwdCommand("bob", COST, io), 0);
  t.ok(await fits(t, text.out, "bob", "pä"));
});

const refused: readonly {
  name: string;
  user?: string;
  cost?: number;
  input?: string | Buffer;
  says: RegExp;
}[] = [
  { name: "nothing", input: "", says: /password is empty/ },
  { name: "an empty line", input: "\nsecret\n", says: /password is empty/ },
  { name: "73 bytes", input: `${"x".repeat(71)}ä`, says: /has 73 bytes; bcrypt reads only 72/ },
  { name: "a line without end", input: "x".repeat(100_000), says: /bcrypt reads only 72/ },
  { name: "control characters", input: "sec\tret", says: /control characters/ },
  { name: "not UTF-8", input: Buffer.from([0x70, 0xff, 0x0a]), says: /not UTF-8/ },
  { name: "a colon in the name", user: "b:ob", says: /"b:ob" has a colon/ },
  { name: "an empty name", user: "", says: /name is empty/ },
  { name: "a line break in the name", user: "b\nob", says: /control characters/ },
  { name: "a name like a comment", user: "#bob", says: /begins or ends/ },
  { name: "a name of 256 bytes", user: "n".repeat(256), says: /longer than 255/ },
  { name: "cost 9", cost: 9, says: /cost is 9; it must be a whole number from 10 to 16/ },
  { name: "cost 17", cost: 17, says: /cost is 17;/ },
  { name: "cost 10.5", cost: 10.5, says: /cost is 10.5;/ },
  { name: "cost NaN", cost: Number.NaN, says: /cost is NaN;/ },
];
for (const { name, user = "bob", cost = COST, input = "secret", says } of refused) {
  t.test(`refused: ${name}`, async (t) => {
    const { io, text } = ioFor([input]);
    t.equal(await passwdCommand(user, cost, io), 1);
    t.equal(text.out, "");
    t.match(text.err, says);
    t.equal(text.err.split("\n").length, 2, "one line");
    t.notMatch(text.err, /secret|xxx/);
  });
}

const typed: readonly {
  name: string;
  keys: readonly string[];
  code: number;
  password?: string;
  says?: RegExp;
}[] = [
  { name: "twice the same", keys: ["secret\r", "secret\r"], code: 0, password: "secret" },
  { name: "key by key, all at once", keys: [..."secret\rsecret\r"], code: 0, password: "secret" },
  {
    name: "backspace takes a whole character",
    keys: ["secrä\x7fet\r", "x\b\bsecret\r"],
    code: 0,
    password: "secret",
  },
  { name: "Ctrl-U starts again", keys: ["oops\x15secret\r", "secret\r"], code: 0, password: "secret" },
  { name: "Ctrl-D ends as well", keys: ["secret\x04", "secret\x04"], code: 0, password: "secret" },
  { name: "two that differ", keys: ["secret\r", "secrets\r"], code: 1, says: /differ/ },
  { name: "nothing", keys: ["\r"], code: 1, says: /empty/ },
  { name: "Ctrl-D at once", keys: ["\x04"], code: 1, says: /empty/ },
  { name: "an arrow key", keys: ["sec\x1b[Dret\r"], code: 1, says: /control characters/ },
  { name: "Ctrl-C", keys: ["sec\x03"], code: 130 },
  { name: "Ctrl-C the second time", keys: ["secret\r", "\x03"], code: 130 },
  { name: "a terminal that goes away", keys: ["secret\r"], code: 1, says: /differ/ },
];
for (const { name, keys, code, password, says = /^/ } of typed) {
  t.test(`typed: ${name}`, { skip: password !== undefined && skip }, async (t) => {
    const { io, text, raw } = ioFor(keys, true);
    t.equal(await passwdCommand("bob", COST, io), code);
    t.same(raw, [true, false], "the terminal is left as it was");
    t.match(text.err, /^Password for bob: /);
    t.match(text.err, says);
    t.notMatch(text.err, /secret/);
    t.equal(text.out !== "", code === 0);
    if (password !== undefined) t.ok(await fits(t, text.out, "bob", password));
  });
}

t.test("on a real terminal nothing is echoed, and the terminal echoes again after", { skip }, async (t) => {
  const dir = t.testdir({
    "ask.mjs": `
      import { passwdCommand } from ${JSON.stringify(SOURCE)};
      const io = { stdin: process.stdin, out: process.stdout, err: process.stderr };
      process.exitCode = await passwdCommand("bob", ${COST}, io);
    `,
  });
  const command = `'${process.execPath}' '${join(dir, "ask.mjs")}'; echo "code $?"; stty -a`;
  const child = spawn("script", ["-qec", command, "/dev/null"], {
    env: { ...process.env, NODE_OPTIONS: "", SHELL: "/bin/sh" },
  });
  let screen = "";
  const answers = [
    { prompt: "Password for bob: ", keys: "hush-hush\r" },
    { prompt: "Again: ", keys: "hush-hush\r" },
  ];
  child.stdout.setEncoding("utf8").on("data", (chunk: string) => {
    screen += chunk;
    const next = answers[0];
    if (next && screen.endsWith(next.prompt)) {
      answers.shift();
      child.stdin.write(next.keys);
    }
  });
  await new Promise((resolve) => child.on("close", resolve));
  t.notMatch(screen, /hush/);
  t.match(screen, /code 0/);
  t.match(screen, /[ ;]echo[ ;]/);
  t.notMatch(screen, /-echo[ ;]/);
  const htpasswdLine = /^bob:\$2y\$10\$[./A-Za-z0-9]{53}/m.exec(screen)?.[0] ?? "";
  t.ok(await fits(t, `${htpasswdLine}\n`, "bob", "hush-hush"));
});

t.test("the default cost", async (t) => {
  t.equal(DEFAULT_COST, 12);
});
