/** One pool of connections to an upstream that a test answers for. */
import type { Test } from "tap";
import type { Upstream } from "../../src/core/snapshot.ts";
import { upstreamAt } from "../support/raw-upstream.ts";
import { type Asker, asker } from "./tagged-checks.ts";
import { answerTo, type Got, type TaggedUpstream, taggedUpstream } from "./tagged-upstream.ts";

export interface Scene extends Asker {
  readonly upstream: TaggedUpstream;
  /** Answers the one that came as the `index`th, from 0. */
  answer(index: number): void;
}

/** With `changes`, one connection and at most four checks on it. `onGot` has what comes from `begun` requests on. */
export async function scene(
  t: Test,
  changes: Partial<Upstream> = {},
  begun = Number.POSITIVE_INFINITY,
  onGot: (got: Got) => void = answer,
): Promise<Scene> {
  const upstream = await taggedUpstream(t, (got) => {
    if (upstream.got.length > begun) onGot(got);
  });
  const target = upstreamAt(upstream.port, { maxConnections: 1, pipelining: 4, ...changes });
  return {
    ...asker(t, target),
    upstream,
    answer: (index) => {
      const got = upstream.got[index];
      if (got) answer(got);
    },
  };
}

export function answer({ tag, socket }: Got): void {
  socket.write(answerTo(tag));
}

/** A check that was answered, so that its connection is one that has answered before. */
export async function warm({ ask, upstream, answer }: Scene, tag = "warm"): Promise<void> {
  const index = upstream.got.length;
  const outcome = ask(tag);
  await upstream.until(index + 1);
  answer(index);
  await outcome;
}
