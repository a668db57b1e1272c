/** Limits of control groups: what to write into which file, in which order. Pure. */
import type { GroupStats } from "#agents/runtime/cgroupstats.ts";

export interface GroupLimits {
  /** Relative weight, 2 to 262144. */
  cpuShares?: number;
  /** Of each 100 ms; null takes the limit away. */
  cpuQuotaMicros?: number | null;
  memoryLimitBytes?: number | null;
}

export interface GroupWrite {
  /** Version 1: the controller whose tree has the file. */
  controller: string;
  file: string;
  value: string;
}

type MemoryNow = Pick<GroupStats, "memoryLimitBytes">;

const CPU_PERIOD_MICROS = 100_000;

/** Weight of version 2 (1 to 10000) for shares of version 1, as runc converts them. */
export function cpuWeight(shares: number): number {
  return Math.floor(1 + ((shares - 2) * 9999) / 262142);
}

function memoryWritesV1(bytes: number | null, now: MemoryNow): GroupWrite[] {
  const value = bytes === null ? "-1" : String(bytes);
  const memory = { controller: "memory", file: "memory.limit_in_bytes", value };
  const withSwap = { controller: "memory", file: "memory.memsw.limit_in_bytes", value };
  // At no moment may memory alone be allowed more than memory and swap together.
  const grows = bytes === null || bytes > (now.memoryLimitBytes ?? Number.POSITIVE_INFINITY);
  return grows ? [withSwap, memory] : [memory, withSwap];
}

/** In the order in which they must be written. `now` tells whether the memory limit grows. */
export function limitWrites(
  version: 1 | 2,
  limits: GroupLimits,
  now: MemoryNow,
): readonly GroupWrite[] {
  const writes: GroupWrite[] = [];
  const cpu = (file: string, value: string) => writes.push({ controller: "cpu", file, value });
  const { cpuShares, cpuQuotaMicros: quota, memoryLimitBytes: memory } = limits;
  if (cpuShares !== undefined) {
    if (version === 1) cpu("cpu.shares", String(cpuShares));
    else cpu("cpu.weight", String(cpuWeight(cpuShares)));
  }
  if (quota !== undefined && version === 1) {
    cpu("cpu.cfs_period_us", String(CPU_PERIOD_MICROS));
    cpu("cpu.cfs_quota_us", quota === null ? "-1" : String(quota));
  } else if (quota !== undefined) {
    cpu("cpu.max", `${quota ?? "max"} ${CPU_PERIOD_MICROS}`);
  }
  if (memory !== undefined && version === 1) writes.push(...memoryWritesV1(memory, now));
  else if (memory !== undefined) {
    writes.push({ controller: "memory", file: "memory.max", value: String(memory ?? "max") });
  }
  return writes;
}
