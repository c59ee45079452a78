/**
 * Tells the config's `notify` targets that a route entered or left fallback. Connections, lookups and queues are
 * apart from those of checks, so nothing here holds one up. Connections and queues are each target's own as well;
 * names are looked up one after another, because each lookup holds a thread that checks need too.
 */

import type { Ask } from "../core/ask.ts";
import { notifyMessage, originText } from "../core/notify.ts";
import type { NotifyTarget, Upstream } from "../core/snapshot.ts";
import type { FallbackChange } from "../core/types.ts";
import type { Report } from "../observe/event.ts";
import { DeliveryQueue, type DeliveryQueueDeps } from "./delivery-queue.ts";

export interface Notifier {
  /** Who is told from now on. A target that stays, by its URL, keeps what waits for it. */
  use(targets: readonly NotifyTarget[]): void;
  /** Returns before anything is sent; never throws. */
  notify(change: FallbackChange): void;
  /** Tries once more, for so many milliseconds at most, what waits; then closes. */
  drain(milliseconds: number): Promise<void>;
  /** Gives up what waits, and cuts what is on its way. */
  close(): void;
}

export interface NotifierDeps extends Omit<DeliveryQueueDeps, "ask" | "onEvent"> {
  readonly report: Report;
  /** Of the notifier alone, which closes it. */
  readonly upstreams: {
    readonly ask: Ask;
    /** Drops the connections of all other upstreams. */
    use(upstreams: Iterable<Upstream>): void;
    close(): void;
  };
  /** As messages name this process. */
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
      const told = Promise.all([...queues.values()].map((queue) => queue.finish()));
      const timeUp = Promise.withResolvers<void>();
      const cancel = rest.later(milliseconds, timeUp.resolve);
      await Promise.race([told, timeUp.promise]);
      cancel();
      close();
    },
    close,
  };
}

function urlOf({ upstream, target }: NotifyTarget): string {
  return originText(upstream) + target;
}
