/** The rest of a long answer on its way to the gateway. It is read no faster than the gateway takes it. */
import { Readable } from "node:stream";
import type { Body, FailureReason } from "../core/types.ts";

export interface BodyStream {
  readonly body: Extract<Body, { kind: "stream" }>;
  /** Returns false when it is enough until `onWanted`. */
  push(chunk: Buffer): boolean;
  /** The answer came whole. */
  end(): void;
  /** `reason` is null if the upstream did not cause it. */
  breakOff(reason: FailureReason | null): void;
}

/** `onClosed` is called when nothing more will be read, also after the end. */
export function createBodyStream(onWanted: () => void, onClosed: () => void): BodyStream {
  const ended = Promise.withResolvers<FailureReason | null>();
  const readable = new Readable({
    read: onWanted,
    destroy: (error, done) => {
      ended.resolve(null);
      onClosed();
      done(error);
    },
  });
  // The stream may break off before it is read.
  readable.on("error", () => {});
  const cancel = (): void => {
    readable.destroy();
  };
  return {
    body: { kind: "stream", chunks: readable, cancel, ended: ended.promise },
    push: (chunk) => readable.push(chunk),
    end: () => {
      readable.push(null);
      ended.resolve(null);
    },
    breakOff: (reason) => {
      ended.resolve(reason);
      readable.destroy(new Error("the upstream's answer broke off"));
    },
  };
}
