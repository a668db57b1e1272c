/** Usage as JSON: `/stats/summary` as Kubernetes has it, and what the metrics API needs. */
import type { Reading } from "#agents/kubelet/meter.ts";
import type { Usage } from "#agents/kubelet/stats.ts";
import type { NodeUsageAnswer } from "#api/nodes.ts";

function shown(usage: Usage, nanoCores: number | undefined, time: string) {
  return {
    cpu: {
      time,
      ...(nanoCores !== undefined && { usageNanoCores: nanoCores }),
      usageCoreNanoSeconds: usage.cpuUsageNanos,
    },
    memory: {
      time,
      usageBytes: usage.memoryUsageBytes,
      workingSetBytes: usage.workingSetBytes,
      rssBytes: usage.rssBytes,
    },
  };
}

/** The body of `/stats/summary`. */
export function summary(reading: Reading, nodeName: string): object {
  const time = new Date(reading.atMs).toISOString();
  const { machine, pods, nanoCores } = reading;
  return {
    node: { nodeName, ...shown(machine, nanoCores(""), time) },
    pods: pods.map(({ record, containers, total }) => ({
      podRef: { name: record.name, namespace: record.namespace, uid: record.uid },
      startTime: new Date(record.startTimeMs).toISOString(),
      containers: containers.map((usage) => ({
        name: usage.name,
        startTime: new Date(usage.startedAtMs).toISOString(),
        ...shown(usage, nanoCores(usage.id), time),
      })),
      ...(total && shown(total, nanoCores(record.uid), time)),
      ...(total && { process_stats: { process_count: total.pids } }),
    })),
  };
}

/** The body of `/usage`. A pod of which a container has no rate yet is left out. */
export function usageAnswer({
  atMs,
  windowMs,
  machine,
  pods,
  nanoCores,
}: Reading): NodeUsageAnswer {
  const of = (usage: Usage, key: string) => {
    const rate = nanoCores(key);
    return rate === undefined ? [] : [{ nanoCores: rate, memoryBytes: usage.workingSetBytes }];
  };
  const [node] = of(machine, "");
  return {
    atMs,
    windowMs,
    ...(node && { node }),
    pods: pods.flatMap(({ record, containers }) => {
      const used = containers.flatMap((each) =>
        of(each, each.id).map((usage) => ({ name: each.name, ...usage })),
      );
      const whole = used.length > 0 && used.length === containers.length;
      return whole ? [{ uid: record.uid, containers: used }] : [];
    }),
  };
}
