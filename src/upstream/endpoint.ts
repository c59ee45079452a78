/** One endpoint of an upstream, and what is known of it. */
import { addressText } from "../core/address-text.ts";
import { type Ejection, IN_USE, isInUse } from "../core/ejection.ts";
import type { EjectedFrom, EndpointStatus } from "../core/endpoint.ts";
import type { Address } from "../core/snapshot.ts";
import type { Pooled } from "./pooled-connection.ts";

export class Endpoint {
  readonly server: Address;
  /** An address that the name of the server resolved to. */
  readonly address: string;
  /** Connections that are free. The most recently used one is the last. */
  readonly idle: Pooled[] = [];
  /** Checks that are asked here, or for which a connection is being opened. */
  inFlight = 0;
  /** When it answered last, in milliseconds of the monotonic clock. */
  answeredAt = Number.NEGATIVE_INFINITY;
  /** When it failed or was suspected last. */
  doubtedAt = Number.NEGATIVE_INFINITY;
  /** When a slow verdict of it counted last. */
  slowAt = Number.NEGATIVE_INFINITY;
  /** Whether checks are sent to it. A full session store ejects it from those without a cookie alone. */
  readonly ejections: Record<EjectedFrom, Ejection> = { all: IN_USE, cookieless: IN_USE };
  /** Its name no longer has this address. */
  hasLeft = false;

  constructor(server: Address, address: string) {
    this.server = server;
    this.address = address;
  }

  get text(): string {
    return addressText({ host: this.address, port: this.server.port });
  }

  isInUse(hasCookie: boolean): boolean {
    const { all, cookieless } = this.ejections;
    return isInUse(all) && (hasCookie || isInUse(cookieless));
  }

  get status(): EndpointStatus {
    const { all, cookieless } = this.ejections;
    const from = isInUse(all) ? "cookieless" : "all";
    const ejection = from === "all" ? all : cookieless;
    if (ejection.kind === "in_use") return { endpoint: this.text, ejected: null };
    return { endpoint: this.text, ejected: { from, reason: ejection.reason, since: ejection.since } };
  }
}
