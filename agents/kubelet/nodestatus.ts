/** What a node tells of itself: pure. */
import type { Capacity } from "#agents/kubelet/options.ts";
import type { ImageInfo } from "#agents/runtime/runtime.ts";
import { HUGE_PAGES } from "#resources/hugepages.ts";
import type { NodeCondition, NodeStatus, NodeSystemInfo } from "#resources/types.gen.ts";

/** Upstream's hard eviction thresholds, kept back from what pods may request. */
const EVICTION_MEMORY_BYTES = 100 * 1024 * 1024;
const EVICTION_DISK_SHARE = 0.1;

export interface NodeFacts {
  name: string;
  ips: readonly string[];
  capacity: Capacity;
  reserved: { cpuMillis: number; memoryBytes: number };
  info: NodeSystemInfo;
  images: readonly ImageInfo[];
  kubeletPort: number;
  /** Why pods cannot run; undefined when they can. */
  notReady: string | undefined;
  pressure: { memory: boolean; disk: boolean; pid: boolean };
  /** Devices that plugins offer: resource name to count. */
  devices: Readonly<Record<string, number>>;
  now: number;
}

const kib = (bytes: number): string => `${Math.floor(bytes / 1024)}Ki`;

export function capacityOf({ capacity, devices }: NodeFacts): Record<string, string> {
  return {
    cpu: String(capacity.cpus),
    memory: kib(capacity.memoryBytes),
    "ephemeral-storage": kib(capacity.ephemeralBytes),
    "hugepages-1Gi": "0",
    "hugepages-2Mi": "0",
    ...Object.fromEntries(
      Object.entries(capacity.hugePages ?? {}).map(([size, bytes]) => [
        `${HUGE_PAGES}${size}`,
        bytes === 0 ? "0" : kib(bytes),
      ]),
    ),
    pods: String(capacity.pods),
    ...Object.fromEntries(Object.entries(devices).map(([name, count]) => [name, String(count)])),
  };
}

export function allocatableOf(facts: NodeFacts): Record<string, string> {
  const { capacity, reserved } = facts;
  const millis = Math.max(0, capacity.cpus * 1000 - reserved.cpuMillis);
  const huge = Object.values(capacity.hugePages ?? {}).reduce((sum, bytes) => sum + bytes, 0);
  // Nothing else can have the memory of huge pages (upstream takes it off as well).
  const memory = capacity.memoryBytes - huge - reserved.memoryBytes - EVICTION_MEMORY_BYTES;
  return {
    ...capacityOf(facts),
    cpu: millis % 1000 === 0 ? String(millis / 1000) : `${millis}m`,
    memory: kib(Math.max(0, memory)),
    "ephemeral-storage": String(Math.floor(capacity.ephemeralBytes * (1 - EVICTION_DISK_SHARE))),
  };
}

function conditionOf(
  type: string,
  status: boolean,
  reason: string,
  message: string,
  timeText: string,
  before: readonly NodeCondition[],
): NodeCondition {
  const text = status ? "True" : "False";
  const old = before.find((other) => other.type === type);
  const kept = old?.status === text && old.lastTransitionTime !== undefined;
  return {
    type,
    status: text,
    reason,
    message,
    lastHeartbeatTime: timeText,
    lastTransitionTime: kept ? (old.lastTransitionTime ?? timeText) : timeText,
  };
}

function conditions(facts: NodeFacts, before: readonly NodeCondition[]): NodeCondition[] {
  const time = new Date(facts.now).toISOString().replace(/\.\d+Z$/, "Z");
  const make = (type: string, on: boolean, reason: string, message: string) =>
    conditionOf(type, on, reason, message, time, before);
  const { memory, disk, pid } = facts.pressure;
  return [
    memory
      ? make(
          "MemoryPressure",
          true,
          "KubeletHasInsufficientMemory",
          "kubelet has insufficient memory available",
        )
      : make(
          "MemoryPressure",
          false,
          "KubeletHasSufficientMemory",
          "kubelet has sufficient memory available",
        ),
    disk
      ? make("DiskPressure", true, "KubeletHasDiskPressure", "kubelet has disk pressure")
      : make("DiskPressure", false, "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
    pid
      ? make(
          "PIDPressure",
          true,
          "KubeletHasInsufficientPID",
          "kubelet has insufficient PID available",
        )
      : make(
          "PIDPressure",
          false,
          "KubeletHasSufficientPID",
          "kubelet has sufficient PID available",
        ),
    facts.notReady === undefined
      ? make("Ready", true, "KubeletReady", "kubelet is posting ready status")
      : make("Ready", false, "KubeletNotReady", facts.notReady),
  ];
}

/** Extended resources of others than us stay, and count for nothing here: they are patched in. */
function ownResources(list: Record<string, string> | undefined): Record<string, string> {
  const entries = Object.entries(list ?? {});
  return Object.fromEntries(
    entries.filter(([name]) => !name.includes("/") || name.startsWith("bramble.dev/")),
  );
}

/** The part of a status in the API that this node wrote. */
export function ownStatus(status: NodeStatus | undefined): NodeStatus | undefined {
  if (status === undefined) return undefined;
  const { capacity, allocatable } = status;
  return {
    ...status,
    capacity: ownResources(capacity),
    allocatable: ownResources(allocatable),
  };
}

/** `before`: the status in the API, for the times of its conditions and those of others. */
export function nodeStatus(
  facts: NodeFacts,
  before: NodeStatus | undefined,
  imagesMax: number,
): NodeStatus {
  const own = conditions(facts, before?.conditions ?? []);
  const types = new Set(own.map(({ type }) => type));
  const others = (before?.conditions ?? []).filter(({ type }) => !types.has(type));
  const images = [...facts.images]
    .sort((a, b) => b.sizeBytes - a.sizeBytes)
    .slice(0, imagesMax)
    .map(({ names, digests, sizeBytes }) => ({ names: [...digests, ...names], sizeBytes }));
  return {
    addresses: [
      ...facts.ips.map((address) => ({ type: "InternalIP", address })),
      { type: "Hostname", address: facts.name },
    ],
    capacity: capacityOf(facts),
    allocatable: allocatableOf(facts),
    conditions: [...own, ...others],
    daemonEndpoints: { kubeletEndpoint: { Port: facts.kubeletPort } },
    nodeInfo: facts.info,
    images,
  };
}

/** Whether the API should hear of it: anything but the time of a heartbeat. */
export function sameNodeStatus(a: NodeStatus | undefined, b: NodeStatus): boolean {
  const bare = (status: NodeStatus | undefined) => ({
    addresses: status?.addresses,
    capacity: status?.capacity,
    allocatable: status?.allocatable,
    daemonEndpoints: status?.daemonEndpoints,
    nodeInfo: status?.nodeInfo,
    images: status?.images,
    conditions: status?.conditions?.map(({ type, status, reason, message }) => [
      type,
      status,
      reason,
      message,
    ]),
  });
  return Bun.deepEquals(bare(a), bare(b));
}
