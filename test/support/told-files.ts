/** Preloaded into a program, this writes the paths and names of all loaded modules to stderr, one a line. */
import { writeSync } from "node:fs";
import { registerHooks } from "node:module";

const STDERR = 2;

registerHooks({
  load: (url, context, nextLoad) => {
    writeSync(STDERR, `${url}\n`);
    return nextLoad(url, context);
  },
});
