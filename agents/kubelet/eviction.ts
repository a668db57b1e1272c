/**
 * When the node runs short: which condition it tells, and which pod has to go. Pure.
 * https://kubernetes.io/docs/concepts/scheduling-eviction/node-pressure-eviction/
 */
import type { Verdict } from "#agents/kubelet/types.ts";
import { podRequests } from "#resources/podrequests.ts";
import type { Pod } from "#resources/types.gen.ts";

/** What is left of each resource. */
export interface Supply {
  memoryBytes: number;
  memoryCapacityBytes: number;
  diskBytes: number;
  diskCapacityBytes: number;
  inodes: number;
  inodesCapacity: number;
  pids: number;
  pidsCapacity: number;
}

export interface Pressure {
  memory: boolean;
  disk: boolean;
  pid: boolean;
}

export interface PodUse {
  pod: Pod;
  memoryBytes: number;
  diskBytes: number;
  pids: number;
}

/** Upstream's hard thresholds; process ids have none there, and a node without any is lost. */
const MEMORY_MIN_BYTES = 100 * 1024 * 1024;
const DISK_MIN_SHARE = 0.1;
const INODES_MIN_SHARE = 0.05;
const PIDS_MIN_SHARE = 0.05;
/** A condition stays this long after the need is over, so that pods do not come and go. */
export const PRESSURE_HOLD_MS = 300_000;
/** system-node-critical and above: the node is worth nothing without them. */
const CRITICAL_PRIORITY = 2_000_000_000;

interface Need {
  kind: keyof Pressure;
  resource: string;
  threshold: string;
  available: string;
}

const mebi = (bytes: number): string => `${Math.floor(bytes / 1024 / 1024)}Mi`;

/** What is below its threshold now, the most urgent first. */
export function needsOf(supply: Supply): Need[] {
  const needs: Need[] = [];
  const { memoryBytes, diskBytes, inodes, pids } = supply;
  if (memoryBytes < MEMORY_MIN_BYTES) {
    needs.push({
      kind: "memory",
      resource: "memory",
      threshold: mebi(MEMORY_MIN_BYTES),
      available: mebi(memoryBytes),
    });
  }
  const diskMin = supply.diskCapacityBytes * DISK_MIN_SHARE;
  if (diskBytes < diskMin) {
    needs.push({
      kind: "disk",
      resource: "ephemeral-storage",
      threshold: mebi(diskMin),
      available: mebi(diskBytes),
    });
  }
  const inodesMin = supply.inodesCapacity * INODES_MIN_SHARE;
  if (supply.inodesCapacity > 0 && inodes < inodesMin) {
    const threshold = String(Math.floor(inodesMin));
    needs.push({ kind: "disk", resource: "inodes", threshold, available: String(inodes) });
  }
  const pidsMin = supply.pidsCapacity * PIDS_MIN_SHARE;
  if (supply.pidsCapacity > 0 && pids < pidsMin) {
    const threshold = String(Math.floor(pidsMin));
    needs.push({ kind: "pid", resource: "pids", threshold, available: String(pids) });
  }
  return needs;
}

const isCritical = ({ spec }: Pod): boolean => (spec?.priority ?? 0) >= CRITICAL_PRIORITY;

interface Ranked extends PodUse {
  used: number;
  over: number;
}

/** Those above their request first, then by priority, then by how far above. */
function rank(uses: readonly PodUse[], kind: keyof Pressure): Ranked[] {
  const measure = (use: PodUse): Ranked => {
    const requests = podRequests(use.pod);
    const used = kind === "memory" ? use.memoryBytes : kind === "disk" ? use.diskBytes : use.pids;
    const request =
      kind === "memory"
        ? (requests["memory"] ?? 0)
        : kind === "disk"
          ? (requests["ephemeral-storage"] ?? 0)
          : 0;
    return { ...use, used, over: used - request };
  };
  const priority = ({ pod }: Ranked): number => pod.spec?.priority ?? 0;
  return uses
    .filter(({ pod }) => !isCritical(pod))
    .map(measure)
    .sort(
      (a, b) =>
        Number(b.over > 0) - Number(a.over > 0) || priority(a) - priority(b) || b.over - a.over,
    );
}

/** The pod to evict for a need, and what it is told; undefined where nobody may go. */
export function victimFor(
  need: Need,
  uses: readonly PodUse[],
): { pod: Pod; verdict: Verdict } | undefined {
  const [first] = rank(uses, need.kind);
  if (first === undefined) return undefined;
  const { resource, threshold, available } = need;
  const figures = `Threshold quantity: ${threshold}, available: ${available}. `;
  const low = `The node was low on resource: ${resource}. ${figures}`;
  const amount = need.kind === "pid" ? String(first.used) : `${Math.ceil(first.used / 1024)}Ki`;
  const used = `The pod was using ${amount}. `;
  return {
    pod: first.pod,
    verdict: { reason: "Evicted", message: low + used, graceSeconds: 0, disruption: true },
  };
}

/** Why a node under pressure takes no such pod. */
export function refusedUnder(
  pressure: Pressure,
  pod: Pod,
  bestEffort: boolean,
): Verdict | undefined {
  if (isCritical(pod)) return undefined;
  const conditions = [
    ...(pressure.disk ? ["DiskPressure"] : []),
    ...(pressure.pid ? ["PIDPressure"] : []),
    ...(pressure.memory && bestEffort ? ["MemoryPressure"] : []),
  ];
  if (conditions.length === 0) return undefined;
  return { reason: "Evicted", message: `The node had condition: [${conditions.join(" ")}]. ` };
}

export interface StorageUse {
  /** Bytes by volume and by container (what it wrote and logged). */
  volumes: Readonly<Record<string, number>>;
  containers: Readonly<Record<string, number>>;
}

/** A limit of local storage that the pod has passed. */
export function overStorage(
  pod: Pod,
  use: StorageUse,
  bytesOf: (quantity: string) => number,
): Verdict | undefined {
  const evict = (message: string): Verdict => ({ reason: "Evicted", message, graceSeconds: 0 });
  for (const { name, emptyDir } of pod.spec?.volumes ?? []) {
    const limit = emptyDir?.medium === "Memory" ? undefined : emptyDir?.sizeLimit;
    if (limit === undefined || bytesOf(limit) <= 0) continue;
    if ((use.volumes[name] ?? 0) > bytesOf(limit)) {
      return evict(`Usage of EmptyDir volume "${name}" exceeds the limit "${limit}". `);
    }
  }
  const total = Object.values(use.volumes).reduce((sum, bytes) => sum + bytes, 0);
  let used = total;
  let limits: number | undefined = 0;
  for (const { name, resources } of pod.spec?.containers ?? []) {
    const limit = resources?.limits?.["ephemeral-storage"];
    const own = use.containers[name] ?? 0;
    used += own;
    if (limit !== undefined && own > bytesOf(limit)) {
      return evict(`Container ${name} exceeded its local ephemeral storage limit "${limit}". `);
    }
    limits = limit === undefined || limits === undefined ? undefined : limits + bytesOf(limit);
  }
  if (limits === undefined || limits === 0 || used <= limits) return undefined;
  const what = "Pod ephemeral local storage usage exceeds the total limit of containers";
  return evict(`${what} ${limits}. `);
}
