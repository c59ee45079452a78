/** Preloaded into a program: writes the paths of all files it loads to stderr, one a line. */
import { writeSync } from "node:fs";
import { registerHooks } from "node:module";

const STDERR = 2;

registerHooks({
  load: (url, context, nextLoad) => {
    if (url.startsWith("file:")) writeSync(STDERR, `${url}\n`);
    return nextLoad(url, context);
  },
});
