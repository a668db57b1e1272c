/**
 * Usage as Prometheus text: `/metrics/resource`, the series of cAdvisor that dashboards use, and
 * the kubelet's own.
 */
import type { NodeUsage, PodUsage, Usage } from "#agents/kubelet/stats.ts";
import type { PodRecord } from "#agents/kubelet/types.ts";

type Labels = Record<string, string>;

class Text {
  readonly #series = new Map<string, { type: string; help: string; lines: string[] }>();

  add(
    name: string,
    type: string,
    help: string,
    labels: Labels,
    value: number,
    atMs?: number,
  ): void {
    const series = this.#series.get(name) ?? { type, help, lines: [] };
    this.#series.set(name, series);
    const pairs = Object.entries(labels).map(([key, text]) => `${key}=${JSON.stringify(text)}`);
    const where = pairs.length === 0 ? "" : `{${pairs.join(",")}}`;
    const time = atMs === undefined ? "" : ` ${atMs}`;
    series.lines.push(`${name}${where} ${value}${time}`);
  }

  toString(): string {
    return [...this.#series]
      .map(([name, { type, help, lines }]) =>
        [`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`, ...lines, ""].join("\n"),
      )
      .join("");
  }
}

function addUsage(text: Text, prefix: string, labels: Labels, usage: Usage, atMs: number): void {
  const cpu = `${prefix}_cpu_usage_seconds_total`;
  const memory = `${prefix}_memory_working_set_bytes`;
  const whose = `of the ${prefix}`;
  text.add(cpu, "counter", `Cumulative CPU time ${whose}`, labels, usage.cpuUsageNanos / 1e9, atMs);
  text.add(memory, "gauge", `Current working set ${whose}`, labels, usage.workingSetBytes, atMs);
}

export function resourceMetrics({ machine, pods }: NodeUsage, nowMs: number): string {
  const text = new Text();
  addUsage(text, "node", {}, machine, nowMs);
  for (const { record, containers, total } of pods) {
    const { name: pod, namespace } = record;
    for (const usage of containers) {
      const labels = { container: usage.name, namespace, pod };
      addUsage(text, "container", labels, usage, nowMs);
      const started = "container_start_time_seconds";
      text.add(started, "gauge", "Start of the container", labels, usage.startedAtMs / 1000);
    }
    if (total !== undefined) addUsage(text, "pod", { namespace, pod }, total, nowMs);
  }
  text.add("resource_scrape_error", "gauge", "1 if reading failed", {}, 0);
  return text.toString();
}

export function cadvisorMetrics(pods: readonly PodUsage[], nowMs: number): string {
  const text = new Text();
  for (const { record, containers } of pods) {
    const { name: pod, namespace } = record;
    for (const usage of containers) {
      const labels = { container: usage.name, image: usage.image, namespace, pod };
      const add = (name: string, type: string, help: string, value: number) =>
        text.add(`container_${name}`, type, help, labels, value, nowMs);
      add("cpu_usage_seconds_total", "counter", "CPU time", usage.cpuUsageNanos / 1e9);
      add("memory_usage_bytes", "gauge", "Memory with all caches", usage.memoryUsageBytes);
      add("memory_working_set_bytes", "gauge", "Working set", usage.workingSetBytes);
      add("memory_rss", "gauge", "Anonymous memory", usage.rssBytes);
    }
  }
  return text.toString();
}

/** `/metrics`: of the kubelet itself, by upstream's names. */
export function ownMetrics(records: readonly PodRecord[], nodeName: string): string {
  const text = new Text();
  const states = records
    .filter(({ cleaned }) => !cleaned)
    .flatMap(({ containers }) => Object.values(containers))
    .map(({ current }) => (current?.finishedAtMs === undefined ? "running" : "exited"));
  const pods = records.filter(({ cleaned, sandbox }) => !cleaned && sandbox !== undefined);
  text.add("kubelet_node_name", "gauge", "The node's name", { node: nodeName }, 1);
  text.add("kubelet_running_pods", "gauge", "Pods with a network namespace", {}, pods.length);
  for (const state of ["exited", "running"]) {
    const count = states.filter((each) => each === state).length;
    const labels = { container_state: state };
    text.add("kubelet_running_containers", "gauge", "Containers by state", labels, count);
  }
  const { rss } = process.memoryUsage();
  const { user, system } = process.cpuUsage();
  text.add("process_cpu_seconds_total", "counter", "CPU time", {}, (user + system) / 1e6);
  text.add("process_resident_memory_bytes", "gauge", "Resident memory", {}, rss);
  return text.toString();
}
