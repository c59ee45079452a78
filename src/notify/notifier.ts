/**
 * Sends messages to the config's `notify` targets when a route enters or leaves fallback. Each target has connections
 * and a delivery queue of its own, apart from those of checks, so nothing here holds up a check. Names are looked up
 * one after another, because each lookup holds a thread that checks need too.
 */
import type { Ask } from "../core/ask.ts";
import { notifyMessage, originText } from "../core/notify.ts";
import type { NotifyTarget, Upstream } from "../core/snapshot.ts";
import type { FallbackChange } from "../core/types.ts";
import type { Report } from "../observe/event.ts";
import { DeliveryQueue, type DeliveryQueueDeps } from "./delivery-queue.ts";

export interface Notifier {
  /** Replaces the targets. A target with the same URL as before keeps its waiting messages. */
  use(targets: readonly NotifyTarget[]): void;
  /** Returns before anything is sent. Never throws. */
  notify(change: FallbackChange): void;
  /** Tries the waiting messages once more, for at most so many milliseconds, then closes. */
  drain(milliseconds: number): Promise<void>;
  /** Gives up the waiting messages, and aborts the one on its way. */
  close(): void;
}

interface NotifierDeps extends Omit<DeliveryQueueDeps, "ask" | "onEvent"> {
  readonly report: Report;
  /** Used by the notifier alone, which closes it. */
  readonly upstreams: {
    readonly ask: Ask;
    /** Drops the connections of all other upstreams. */
    use(upstreams: Iterable<Upstream>): void;
    close(): void;
  };
  /** The name of this process in messages. */
  readonly instance: string;
  /** Unix milliseconds by the wall clock. */
  unixNow(): number;
}

export function createNotifier({ upstreams, instance, unixNow, report, ...rest }: NotifierDeps): Notifier {
  const deps: DeliveryQueueDeps = {
    ...rest,
    ask: upstreams.ask,
    onEvent: (delivery) => report({ kind: "notify", delivery }),
  };
  let queues: ReadonlyMap<string, DeliveryQueue> = new Map();

  const queueFor = (target: NotifyTarget, entry: number): DeliveryQueue => {
    const known = queues.get(urlOf(target));
    if (known === undefined) return new DeliveryQueue(target, entry, deps);
    known.retarget(target, entry);
    return known;
  };
  const close = (): void => {
    for (const queue of queues.values()) queue.close("ending");
    queues = new Map();
    upstreams.close();
  };

  return {
    use: (targets) => {
      const next = new Map(targets.map((target, entry) => [urlOf(target), queueFor(target, entry)]));
      for (const [url, queue] of queues) if (!next.has(url)) queue.close("removed");
      queues = next;
      upstreams.use(targets.map(({ upstream }) => upstream));
    },
    notify: (change) => {
      const message = notifyMessage(change, unixNow(), instance);
      for (const queue of queues.values()) queue.push(message);
    },
    drain: async (milliseconds) => {
      const finished = Promise.all([...queues.values()].map((queue) => queue.finish()));
      const timeUp = Promise.withResolvers<void>();
      const cancel = rest.later(milliseconds, timeUp.resolve);
      await Promise.race([finished, timeUp.promise]);
      cancel();
      close();
    },
    close,
  };
}

function urlOf({ upstream, target }: NotifyTarget): string {
  return originText(upstream) + target;
}
