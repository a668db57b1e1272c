/** Counters in Prometheus' text form, under upstream's names where the meaning is the same. */
import type { Core } from "#api/core.ts";
import type { InFlight } from "#api/inflight.ts";
import { watchersOf } from "#api/watch.ts";

export interface Metrics {
  count(method: string, code: number): void;
  text(): string;
}

export function createMetrics(core: Core, inFlight: InFlight): Metrics {
  /** By method, then by status: no text is made for a request. */
  const requests = new Map<string, Map<number, number>>();

  function block(name: string, type: "counter" | "gauge", help: string, lines: string[]): string {
    return [`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`, ...lines].join("\n");
  }

  return {
    count(method, code) {
      let codes = requests.get(method);
      if (codes === undefined) {
        codes = new Map();
        requests.set(method, codes);
      }
      codes.set(code, (codes.get(code) ?? 0) + 1);
    },
    text() {
      const { rss, heapUsed } = process.memoryUsage();
      const objects = [...core.registry.all()]
        .filter((resource) => resource.stored === resource)
        .map(({ kind, bucket }) => {
          const name = kind.group === "" ? kind.plural : `${kind.plural}.${kind.group}`;
          return `apiserver_storage_objects{resource="${name}"} ${core.store.count(`${bucket}/`)}`;
        });
      return `${[
        block(
          "apiserver_request_total",
          "counter",
          "Requests answered.",
          [...requests].flatMap(([method, codes]) =>
            [...codes].map(
              ([code, count]) =>
                `apiserver_request_total{method="${method}",code="${code}"} ${count}`,
            ),
          ),
        ),
        block("apiserver_current_inflight_requests", "gauge", "Requests under way.", [
          `apiserver_current_inflight_requests ${inFlight.count}`,
        ]),
        block("apiserver_longrunning_requests", "gauge", "Watches open now.", [
          `apiserver_longrunning_requests{verb="WATCH"} ${watchersOf(core)}`,
        ]),
        block("apiserver_storage_objects", "gauge", "Objects stored.", objects),
        block("process_resident_memory_bytes", "gauge", "Resident memory.", [
          `process_resident_memory_bytes ${rss}`,
        ]),
        block("process_heap_bytes", "gauge", "JavaScript heap in use.", [
          `process_heap_bytes ${heapUsed}`,
        ]),
        block("bramble_store_revision", "gauge", "Newest revision.", [
          `bramble_store_revision ${core.store.revision()}`,
        ]),
      ].join("\n")}\n`;
    },
  };
}
