/** Histograms from counts that exist already. The package's own can only be fed one value at a time. */
import type {
  MetricObjectWithValues,
  MetricValueWithName,
  PrometheusContentType,
  Registry,
} from "@prometheus-io/client";
import Histogram from "@prometheus-io/client/lib/histogram.js";
import { DURATION_BOUNDS, type Durations } from "../route-record.ts";

interface RouteDurations {
  readonly route: string;
  readonly durations: Durations;
}

type Label = "route" | "le";
type Value = MetricValueWithName<Label>;

/** It registers itself, and reads `source` at every scrape. */
export class DurationFamily extends Histogram<Label> {
  readonly #head: Omit<MetricObjectWithValues<Value>, "values">;
  readonly #source: () => Iterable<RouteDurations>;

  constructor(
    registry: Registry<PrometheusContentType>,
    name: string,
    help: string,
    source: () => Iterable<RouteDurations>,
  ) {
    super({ name, help, labelNames: ["route"], buckets: [...DURATION_BOUNDS], registers: [registry] });
    this.#head = { name, help, type: "histogram", aggregator: "sum", collect: () => {} };
    this.#source = source;
  }

  override async get(): Promise<MetricObjectWithValues<Value>> {
    return { ...this.#head, values: Array.from(this.#source(), (one) => this.#valuesOf(one)).flat() };
  }

  /** The registry prefers this one when it writes text. */
  async getForPromString(): Promise<MetricObjectWithValues<Value>> {
    return await this.get();
  }

  #valuesOf({ route, durations }: RouteDurations): readonly Value[] {
    const { name } = this.#head;
    let count = 0;
    const buckets = durations.counts.map((inBucket, index): Value => {
      count += inBucket;
      const le = DURATION_BOUNDS[index] ?? "+Inf";
      return { metricName: `${name}_bucket`, labels: { route, le }, value: count };
    });
    return [
      ...buckets,
      { metricName: `${name}_sum`, labels: { route }, value: durations.seconds },
      { metricName: `${name}_count`, labels: { route }, value: count },
    ];
  }
}
