/** Reads a config by PROGRAM, which never sends a message. Ends when it waits for nothing else. */
import { readConfig } from "../../src/config/read-in-child.ts";

const [, , program = "", file = ""] = process.argv;
void readConfig(file, process.env, { holds: false, program });
