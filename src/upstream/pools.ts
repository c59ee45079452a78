/** The pools of all upstreams in use, and their endpoints. */
import type { EndpointChange, EndpointStatus } from "../core/endpoint.ts";
import type { Upstream } from "../core/snapshot.ts";
import { Endpoints, type EndpointsDeps } from "./endpoints.ts";
import { Pool } from "./pool.ts";

export interface Pools {
  of(upstream: Upstream): Pool;
  endpoints(upstream: Upstream): readonly EndpointStatus[];
  /** The upstream works again after an outage. */
  recovered(upstream: Upstream): void;
  /** Drops the connections of all other upstreams: idle ones at once, busy ones after their answer. */
  use(upstreams: Iterable<Upstream>): void;
  close(): void;
}

interface PoolsDeps extends Pick<EndpointsDeps, "resolve" | "now" | "random"> {
  onEndpoint(upstream: Upstream, change: EndpointChange): void;
}

export function createPools({ onEndpoint, ...deps }: PoolsDeps): Pools {
  const pools = new Map<Upstream, Pool>();
  /** Checks and probes of a route have pools of their own, and the list of servers in common. */
  const endpoints = new Map<Upstream["servers"], Endpoints>();

  const endpointsOf = (upstream: Upstream): Endpoints => {
    const known = endpoints.get(upstream.servers);
    if (known) return known;
    const onChange = (change: EndpointChange): void => onEndpoint(upstream, change);
    const made = new Endpoints(upstream.servers, { ...deps, onChange });
    endpoints.set(upstream.servers, made);
    return made;
  };

  return {
    of: (upstream) => {
      let pool = pools.get(upstream);
      if (!pool) {
        pool = new Pool({ ...deps, upstream, endpoints: endpointsOf(upstream) });
        pools.set(upstream, pool);
      }
      return pool;
    },
    endpoints: (upstream) => endpointsOf(upstream).statuses,
    recovered: (upstream) => pools.get(upstream)?.recovered(),
    use: (upstreams) => {
      const wanted = new Set(upstreams);
      for (const [upstream, pool] of pools) {
        if (wanted.has(upstream)) continue;
        pools.delete(upstream);
        pool.close();
      }
      const servers = new Set([...wanted].map((upstream) => upstream.servers));
      for (const [list, made] of endpoints) {
        if (servers.has(list)) continue;
        endpoints.delete(list);
        made.close();
      }
    },
    close: () => {
      for (const pool of pools.values()) pool.close();
      for (const made of endpoints.values()) made.close();
    },
  };
}
