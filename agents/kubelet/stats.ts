/** What pods and the machine use, read from the kernel when someone asks. */
import { readFile } from "node:fs/promises";
import type { KubeletOptions } from "#agents/kubelet/options.ts";
import { isRunning, specOf } from "#agents/kubelet/pod.ts";
import { cgroupParent } from "#agents/kubelet/qos.ts";
import type { PodRecord } from "#agents/kubelet/types.ts";
import type { GroupStats } from "#agents/runtime/cgroupstats.ts";
import type { ControlGroups } from "#agents/runtime/stats.ts";
import type { Stored } from "#resources/meta.ts";
import type { Pod } from "#resources/types.gen.ts";

export type Usage = Pick<
  GroupStats,
  "cpuUsageNanos" | "memoryUsageBytes" | "workingSetBytes" | "rssBytes" | "pids"
>;

export interface ContainerUsage extends Usage {
  id: string;
  name: string;
  image: string;
  startedAtMs: number;
}

export interface PodUsage {
  record: PodRecord;
  containers: ContainerUsage[];
  total: Usage | undefined;
}

export interface NodeUsage {
  machine: Usage;
  pods: PodUsage[];
}

/** The parts of a kubelet that are looked at. */
export interface Measured {
  workers: ReadonlyMap<string, { uid: string; pod: Stored<Pod>; record: PodRecord }>;
  options: Pick<KubeletOptions, "cgroupRoot" | "nodeName">;
  groups: ControlGroups;
}

/** The machine's own figures. */
async function machineUsage(): Promise<Usage> {
  const stat = await readFile("/proc/stat", "utf8");
  const [, user = 0, nice = 0, system = 0, , , irq = 0, soft = 0] = (stat.split("\n", 1)[0] ?? "")
    .split(/\s+/)
    .map(Number);
  const info = await readFile("/proc/meminfo", "utf8");
  const kib = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+)`, "m").exec(info)?.[1] ?? 0);
  const used = (kib("MemTotal") - kib("MemFree")) * 1024;
  return {
    // USER_HZ is 100 on every Linux that people run.
    cpuUsageNanos: (user + nice + system + irq + soft) * 10_000_000,
    memoryUsageBytes: used,
    workingSetBytes: Math.max(0, used - kib("Inactive(file)") * 1024),
    rssBytes: kib("AnonPages") * 1024,
    pids: 0,
  };
}

/** Of the machine and every pod that runs here. */
export async function nodeUsage({ workers, options, groups }: Measured): Promise<NodeUsage> {
  const running = [...workers.values()].filter(({ record }) => !record.cleaned);
  const podUsage = async ({ pod, record, uid }: (typeof running)[number]): Promise<PodUsage> => {
    const parent = cgroupParent(options.cgroupRoot, specOf(pod), uid);
    const containers: ContainerUsage[] = [];
    for (const [name, { current }] of Object.entries(record.containers)) {
      if (!isRunning(current)) continue;
      const usage = await groups.stats(`${parent}/${current.id}`);
      const { id, image, startedAtMs } = current;
      if (usage !== undefined) containers.push({ ...usage, id, name, image, startedAtMs });
    }
    return { record, containers, total: await groups.stats(parent) };
  };
  const [machine, ...pods] = await Promise.all([machineUsage(), ...running.map(podUsage)]);
  return { machine, pods };
}
