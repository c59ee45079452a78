/** The rest of a long answer on its way to the gateway: read no faster than it is wanted. */
import { Readable } from "node:stream";
import type { Body, FailureReason } from "../core/types.ts";

export interface BodyStream {
  readonly body: Extract<Body, { kind: "stream" }>;
  /** False: enough for now, until `onWanted`. */
  push(chunk: Buffer): boolean;
  /** It came whole. */
  end(): void;
  /** null: not the upstream's doing. */
  breakOff(reason: FailureReason | null): void;
}

/** `onClosed`: nothing more will be read. Also called after its end. */
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
  // A stream may break off before anybody reads it.
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
