/**
 * What the files of control groups say. Pure.
 * https://docs.kernel.org/admin-guide/cgroup-v2.html, …/cgroup-v1/memory.html
 */

/** A group's use since it was made; counters never go back. */
export interface GroupStats {
  cpuUsageNanos: number;
  /** Periods in which the group was held back by its CPU limit, and all periods. */
  throttledPeriods: number;
  periods: number;
  memoryUsageBytes: number;
  /** Without file pages that could go at once; what Kubernetes compares with limits. */
  workingSetBytes: number;
  rssBytes: number;
  memoryLimitBytes: number | undefined;
  pageFaults: number;
  majorPageFaults: number;
  /** Processes and threads. */
  pids: number;
  oomKills: number;
}

/** Content of a file by its name; undefined where the kernel has none. */
export type GroupFiles = (name: string) => string | undefined;

/** Memory limits from here on mean "none" (version 1 shows the largest page-aligned number). */
const UNLIMITED_BYTES = 2 ** 62;

/** Lines of `key value`. */
function table(text: string | undefined): (key: string) => number {
  const values = new Map<string, number>();
  for (const line of (text ?? "").split("\n")) {
    const space = line.indexOf(" ");
    if (space > 0) values.set(line.slice(0, space), Number(line.slice(space + 1)));
  }
  return (key) => values.get(key) ?? 0;
}

function number(text: string | undefined): number {
  const value = Number((text ?? "").trim());
  return Number.isFinite(value) ? value : 0;
}

/** Undefined where a file of the kernel says that there is none. */
export function limitOf(text: string | undefined): number | undefined {
  const value = Number((text ?? "").trim() || "max");
  return Number.isFinite(value) && value < UNLIMITED_BYTES ? value : undefined;
}

export function parseStatsV1(files: GroupFiles): GroupStats {
  const memory = table(files("memory.stat"));
  const cpu = table(files("cpu.stat"));
  const usage = number(files("memory.usage_in_bytes"));
  return {
    cpuUsageNanos: number(files("cpuacct.usage")),
    throttledPeriods: cpu("nr_throttled"),
    periods: cpu("nr_periods"),
    memoryUsageBytes: usage,
    workingSetBytes: Math.max(0, usage - memory("total_inactive_file")),
    rssBytes: memory("total_rss"),
    memoryLimitBytes: limitOf(files("memory.limit_in_bytes")),
    pageFaults: memory("total_pgfault"),
    majorPageFaults: memory("total_pgmajfault"),
    pids: number(files("pids.current")),
    oomKills: table(files("memory.oom_control"))("oom_kill"),
  };
}

export function parseStatsV2(files: GroupFiles): GroupStats {
  const memory = table(files("memory.stat"));
  const cpu = table(files("cpu.stat"));
  const current = files("memory.current");
  // The root group has no memory.current; its parts are the same sum.
  const usage =
    current === undefined ? memory("anon") + memory("file") + memory("kernel") : number(current);
  return {
    cpuUsageNanos: cpu("usage_usec") * 1000,
    throttledPeriods: cpu("nr_throttled"),
    periods: cpu("nr_periods"),
    memoryUsageBytes: usage,
    workingSetBytes: Math.max(0, usage - memory("inactive_file")),
    rssBytes: memory("anon"),
    memoryLimitBytes: limitOf(files("memory.max")),
    pageFaults: memory("pgfault"),
    majorPageFaults: memory("pgmajfault"),
    pids: number(files("pids.current")),
    oomKills: table(files("memory.events"))("oom_kill"),
  };
}

/**
 * The group of a process, from `/proc/PID/cgroup`; of version 1 the one of the memory controller.
 */
export function parseProcessGroup(text: string): string | undefined {
  const lines = text.split("\n").map((line) => line.split(":"));
  const of = (fits: (controllers: string) => boolean) =>
    lines.find(([, controllers]) => controllers !== undefined && fits(controllers))?.slice(2);
  const found =
    of((controllers) => controllers.split(",").includes("memory")) ??
    of((controllers) => controllers === "");
  return found?.join(":");
}
