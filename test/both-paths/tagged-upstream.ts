/** An upstream that knows each check by its tag, keeps which connection it came on, and answers when a test says so. */
import type { Socket } from "node:net";
import type { Test } from "tap";
import { eventually } from "../support/processes.ts";
import { rawUpstream } from "../support/raw-upstream.ts";

/** In place of a tag. */
export const PROBE = "probe";

/** One request as it came. */
export interface Got {
  readonly tag: string;
  /** From 1, in the order of their first request. */
  readonly connection: number;
  readonly socket: Socket;
}

export interface TaggedUpstream {
  readonly port: number;
  readonly got: readonly Got[];
  /** `tag@connection`, in the order they came. */
  asked(): readonly string[];
  /** Once so many have come. */
  until(count: number): Promise<void>;
}

/** `onGot` is called with each; what it leaves unanswered is the test's to answer. */
export async function taggedUpstream(t: Test, onGot: (got: Got) => void = () => {}): Promise<TaggedUpstream> {
  const got: Got[] = [];
  const connections: Socket[] = [];
  const upstream = await rawUpstream(t, (socket, head) => {
    if (!connections.includes(socket)) connections.push(socket);
    socket.setNoDelay(true);
    const isProbe = /^user-agent: sparekey\//im.test(head);
    const tag = isProbe ? PROBE : (/^x-tag: (.*)\r$/im.exec(head)?.[1] ?? "");
    const each = { tag, connection: connections.indexOf(socket) + 1, socket };
    got.push(each);
    onGot(each);
  });
  const asked = () => got.map(({ tag, connection }) => `${tag}@${connection}`);
  return {
    port: upstream.port,
    got,
    asked,
    until: async (count) => {
      await eventually(
        () => `${count} asked, but ${asked().join(" ")}`,
        () => (got.length >= count ? true : null),
      );
    },
  };
}

/** The whole answer to a check: its tag in a header and in the body. */
export function answerTo(tag: string): string {
  return `HTTP/1.1 200 OK\r\nX-Tag: ${tag}\r\nContent-Length: ${tag.length}\r\n\r\n${tag}`;
}
