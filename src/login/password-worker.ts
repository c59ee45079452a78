/** The program of a thread of `createPasswordPool`: it verifies one password after the other. */
import { parentPort } from "node:worker_threads";
import { verifyPassword } from "./password-hash.ts";

if (parentPort === null) throw new Error("password-worker is a worker thread's entry, not a program");
const port = parentPort;

port.on("message", ({ password, hash }: { readonly password: string; readonly hash: string }) => {
  port.postMessage(verifyPassword(password, hash));
});
