import { expect, test } from "bun:test";
import fc from "fast-check";
import { cpuWeight, limitWrites } from "#agents/runtime/cgrouplimits.ts";
import {
  type GroupStats,
  parseProcessGroup,
  parseStatsV1,
  parseStatsV2,
} from "#agents/runtime/cgroupstats.ts";

const files = (contents: Record<string, string>) => (name: string) => contents[name];

test("version 1", () => {
  const stats = parseStatsV1(
    files({
      "cpuacct.usage": "123456789\n",
      "cpu.stat": "nr_periods 10\nnr_throttled 3\nthrottled_time 99\n",
      "memory.usage_in_bytes": "5000\n",
      "memory.stat":
        "rss 1\ntotal_rss 2000\ntotal_inactive_file 1500\ntotal_pgfault 7\ntotal_pgmajfault 2\n",
      "memory.limit_in_bytes": "9223372036854771712\n",
      "memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 4\n",
      "pids.current": "6\n",
    }),
  );
  expect(stats).toEqual({
    cpuUsageNanos: 123456789,
    periods: 10,
    throttledPeriods: 3,
    memoryUsageBytes: 5000,
    workingSetBytes: 3500,
    rssBytes: 2000,
    memoryLimitBytes: undefined,
    pageFaults: 7,
    majorPageFaults: 2,
    pids: 6,
    oomKills: 4,
  });
});

test("version 2", () => {
  const stats = parseStatsV2(
    files({
      "cpu.stat": "usage_usec 2500\nuser_usec 1\nnr_periods 4\nnr_throttled 1\n",
      "memory.current": "8000\n",
      "memory.stat": "anon 3000\nfile 4000\ninactive_file 1000\npgfault 5\npgmajfault 1\n",
      "memory.max": "10000\n",
      "memory.events": "low 0\nhigh 0\nmax 9\noom 2\noom_kill 1\n",
      "pids.current": "2\n",
    }),
  );
  expect(stats).toMatchObject({
    cpuUsageNanos: 2_500_000,
    memoryUsageBytes: 8000,
    workingSetBytes: 7000,
    rssBytes: 3000,
    memoryLimitBytes: 10000,
    oomKills: 1,
    pids: 2,
  });
});

test("version 2's root group, and no limit", () => {
  const root = parseStatsV2(
    files({ "memory.stat": "anon 10\nfile 20\nkernel 5\ninactive_file 8\n" }),
  );
  expect(root).toMatchObject({ memoryUsageBytes: 35, workingSetBytes: 27, pids: 0 });
  expect(parseStatsV2(files({ "memory.max": "max\n" })).memoryLimitBytes).toBeUndefined();
});

test("the group of a process", () => {
  expect(parseProcessGroup("0::/pods/p1/c1\n")).toBe("/pods/p1/c1");
  const v1 = "9:name=systemd:/\n4:memory:/pods/p1/c1\n2:cpuacct,cpu:/x\n0::/\n";
  expect(parseProcessGroup(v1)).toBe("/pods/p1/c1");
  expect(parseProcessGroup("0::/odd:name\n")).toBe("/odd:name");
  expect(parseProcessGroup("")).toBeUndefined();
});

test("weights keep the order of shares and stay in range", () => {
  expect([2, 1024, 262144].map(cpuWeight)).toEqual([1, 39, 10000]);
  const shares = fc.integer({ min: 2, max: 262144 });
  fc.assert(
    fc.property(shares, shares, (a, b) => {
      expect(cpuWeight(Math.min(a, b))).toBeLessThanOrEqual(cpuWeight(Math.max(a, b)));
    }),
  );
});

const now = (memoryLimitBytes: number | undefined): GroupStats => ({
  ...parseStatsV2(() => undefined),
  memoryLimitBytes,
});
const files1 = (limits: Parameters<typeof limitWrites>[1], limit: number | undefined) =>
  limitWrites(1, limits, now(limit)).map(({ file, value }) => `${file} ${value}`);

test("version 1 moves the sum with swap first when memory grows, last when it shrinks", () => {
  const grown = ["memory.memsw.limit_in_bytes 200", "memory.limit_in_bytes 200"];
  expect(files1({ memoryLimitBytes: 200 }, 100)).toEqual(grown);
  expect(files1({ memoryLimitBytes: 200 }, undefined)).toEqual(grown.toReversed());
  expect(files1({ memoryLimitBytes: 200 }, 300)).toEqual(grown.toReversed());
  expect(files1({ memoryLimitBytes: null }, 300)).toEqual([
    "memory.memsw.limit_in_bytes -1",
    "memory.limit_in_bytes -1",
  ]);
});

test("CPU on both versions", () => {
  expect(files1({ cpuShares: 512, cpuQuotaMicros: 50_000 }, undefined)).toEqual([
    "cpu.shares 512",
    "cpu.cfs_period_us 100000",
    "cpu.cfs_quota_us 50000",
  ]);
  const second = limitWrites(
    2,
    { cpuShares: 1024, cpuQuotaMicros: null, memoryLimitBytes: null },
    now(undefined),
  );
  expect(second.map(({ file, value }) => `${file} ${value}`)).toEqual([
    "cpu.weight 39",
    "cpu.max max 100000",
    "memory.max max",
  ]);
});
