/** Preloaded into a program: writes what it loads, paths of files and names of Node's own, to stderr, one a line. */
import { writeSync } from "node:fs";
import { registerHooks } from "node:module";

const STDERR = 2;

registerHooks({
  load: (url, context, nextLoad) => {
    writeSync(STDERR, `${url}\n`);
    return nextLoad(url, context);
  },
});
