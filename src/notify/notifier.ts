/**
 * Tells the config's `notify` targets that a route entered or left fallback. Connections, lookups and queues are
 * apart from those of checks, so nothing here holds one up. Connections and queues are each target's own as well;
 * names are looked up one after another, because each lookup holds a thread that checks need too.
 */

import type { Ask } from "../core/ask.ts";
import { messageOf, originText } from "../core/notify.ts";
import type { NotifyTarget, Upstream } from "../core/snapshot.ts";
import type { FallbackChange } from "../core/types.ts";
import { Courier, type CourierPorts } from "./delivery-queue.ts";

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

export interface NotifierPorts extends Omit<CourierPorts, "ask"> {
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

export function createNotifier({ upstreams, instance, unixNow, ...rest }: NotifierPorts): Notifier {
  const ports: CourierPorts = { ...rest, ask: upstreams.ask };
  let couriers: ReadonlyMap<string, Courier> = new Map();

  const courierFor = (target: NotifyTarget, entry: number): Courier => {
    const known = couriers.get(urlOf(target));
    if (known === undefined) return new Courier(target, entry, ports);
    known.retarget(target, entry);
    return known;
  };
  const close = (): void => {
    for (const courier of couriers.values()) courier.close("ending");
    couriers = new Map();
    upstreams.close();
  };

  return {
    use: (targets) => {
      const next = new Map(targets.map((target, entry) => [urlOf(target), courierFor(target, entry)]));
      for (const [url, courier] of couriers) if (!next.has(url)) courier.close("removed");
      couriers = next;
      upstreams.use(targets.map(({ upstream }) => upstream));
    },
    notify: (change) => {
      const message = messageOf(change, unixNow(), instance);
      for (const courier of couriers.values()) courier.push(message);
    },
    drain: async (milliseconds) => {
      const told = Promise.all([...couriers.values()].map((courier) => courier.finish()));
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
