/** Preloaded into a program, this writes to stderr how the program was started. */
import { writeSync } from "node:fs";

const STDERR = 2;
const { pid, ppid, execArgv, argv, env } = process;
const { MALLOC_ARENA_MAX: arenas = null, SOME_SECRET: secret = null } = env;
writeSync(STDERR, `${JSON.stringify({ pid, ppid, execArgv, args: argv.slice(2), arenas, secret })}\n`);
