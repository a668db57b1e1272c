/** Counters of a node's Ingress, in Prometheus' text form. */
import type { EndpointState } from "#agents/ingress/balancer.ts";
import type { Served } from "#agents/ingress/serving.ts";

export interface IngressMetrics {
  connections: number;
  retries: number;
  served(served: Served): void;
  text(endpoints: Iterable<EndpointState>): string;
}

/** Upper bounds of the buckets, milliseconds. */
const BUCKETS_MS = [1, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000] as const;

/** Counts of one Ingress, by class of status (`2xx`). */
interface Counts {
  readonly codes: Map<string, number>;
  readonly buckets: number[];
  sumMs: number;
  count: number;
  requestBytes: number;
  answerBytes: number;
}

const freshCounts = (): Counts => ({
  codes: new Map(),
  buckets: BUCKETS_MS.map(() => 0),
  sumMs: 0,
  count: 0,
  requestBytes: 0,
  answerBytes: 0,
});

const block = (name: string, type: string, help: string, lines: readonly string[]): string =>
  [`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`, ...lines, ""].join("\n");

function durations(ingress: string, counts: Counts): string[] {
  const name = "bramble_ingress_request_duration_seconds";
  return [
    ...BUCKETS_MS.map(
      (ms, at) => `${name}_bucket{ingress="${ingress}",le="${ms / 1_000}"} ${counts.buckets[at]}`,
    ),
    `${name}_bucket{ingress="${ingress}",le="+Inf"} ${counts.count}`,
    `${name}_sum{ingress="${ingress}"} ${counts.sumMs / 1_000}`,
    `${name}_count{ingress="${ingress}"} ${counts.count}`,
  ];
}

class Metrics implements IngressMetrics {
  connections = 0;
  retries = 0;
  readonly #by = new Map<string, Counts>();

  served(served: Served): void {
    let counts = this.#by.get(served.ingress);
    if (counts === undefined) {
      counts = freshCounts();
      this.#by.set(served.ingress, counts);
    }
    const code = `${Math.floor(served.status / 100)}xx`;
    counts.codes.set(code, (counts.codes.get(code) ?? 0) + 1);
    counts.count++;
    counts.sumMs += served.durationMs;
    counts.requestBytes += served.requestBytes;
    counts.answerBytes += served.answerBytes;
    for (let at = 0; at < BUCKETS_MS.length; at++) {
      if (served.durationMs <= (BUCKETS_MS[at] ?? 0))
        counts.buckets[at] = (counts.buckets[at] ?? 0) + 1;
    }
  }

  text(endpoints: Iterable<EndpointState>): string {
    const all = [...this.#by];
    const each = (name: string, value: (counts: Counts) => number): string[] =>
      all.map(([ingress, counts]) => `${name}{ingress="${ingress}"} ${value(counts)}`);
    return [
      block(
        "bramble_ingress_requests_total",
        "counter",
        "Requests answered.",
        all.flatMap(([ingress, { codes }]) =>
          [...codes].map(
            ([code, count]) =>
              `bramble_ingress_requests_total{ingress="${ingress}",code="${code}"} ${count}`,
          ),
        ),
      ),
      block(
        "bramble_ingress_request_duration_seconds",
        "histogram",
        "From a request's head to the end of its answer.",
        all.flatMap(([ingress, counts]) => durations(ingress, counts)),
      ),
      block(
        "bramble_ingress_request_bytes_total",
        "counter",
        "Bodies of requests.",
        each("bramble_ingress_request_bytes_total", (one) => one.requestBytes),
      ),
      block(
        "bramble_ingress_response_bytes_total",
        "counter",
        "Bodies of answers.",
        each("bramble_ingress_response_bytes_total", (one) => one.answerBytes),
      ),
      block("bramble_ingress_retries_total", "counter", "Requests sent to one more endpoint.", [
        `bramble_ingress_retries_total ${this.retries}`,
      ]),
      block(
        "bramble_ingress_endpoint_requests",
        "gauge",
        "Requests under way, by endpoint.",
        [...endpoints].map(
          ({ name, pending }) => `bramble_ingress_endpoint_requests{endpoint="${name}"} ${pending}`,
        ),
      ),
      block("bramble_ingress_connections", "gauge", "Connections of clients.", [
        `bramble_ingress_connections ${this.connections}`,
      ]),
    ].join("");
  }
}

export const createMetrics = (): IngressMetrics => new Metrics();
