/** The package's index also loads a push gateway, cluster and worker registries, and with them an HTTPS client. */
declare module "@prometheus-io/client/lib/counter.js" {
  import { Counter } from "@prometheus-io/client";
  export = Counter;
}
declare module "@prometheus-io/client/lib/gauge.js" {
  import { Gauge } from "@prometheus-io/client";
  export = Gauge;
}
declare module "@prometheus-io/client/lib/histogram.js" {
  import { Histogram } from "@prometheus-io/client";
  export = Histogram;
}
declare module "@prometheus-io/client/lib/registry.js" {
  import { Registry } from "@prometheus-io/client";
  export = Registry;
}
