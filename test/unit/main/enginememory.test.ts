/** How much memory the engine is told to have, by the limits of control groups. */
import { expect, test } from "bun:test";
import { engineMemory, memoryLimit } from "../../../src/main/enginememory.ts";

const MIB = 2 ** 20;
const reader = (files: Record<string, string>) => (path: string) => files[path];

test("the smallest limit on the way up counts, in control groups of both versions", () => {
  const second = reader({
    "/proc/self/cgroup": "0::/system.slice/bramble.service\n",
    "/sys/fs/cgroup/system.slice/bramble.service/memory.max": "max\n",
    "/sys/fs/cgroup/system.slice/memory.max": `${512 * MIB}\n`,
  });
  expect(memoryLimit(second)).toBe(512 * MIB);
  const first = reader({
    "/proc/self/cgroup": "5:cpu,memory:/a/b\n4:pids:/\n0::/\n",
    "/sys/fs/cgroup/memory/a/b/memory.limit_in_bytes": "9223372036854771712\n",
    "/sys/fs/cgroup/memory/memory.limit_in_bytes": `${256 * MIB}\n`,
  });
  expect(memoryLimit(first)).toBe(256 * MIB);
});

test("without a limit, or with one that the machine does not reach, nothing is told", () => {
  expect(memoryLimit(reader({}))).toBeUndefined();
  const none = reader({ "/proc/self/cgroup": "0::/\n", "/sys/fs/cgroup/memory.max": "max\n" });
  expect(memoryLimit(none)).toBeUndefined();
  expect(engineMemory(undefined, 1024 * MIB)).toBeUndefined();
  expect(engineMemory(Number.MAX_SAFE_INTEGER, 1024 * MIB)).toBeUndefined();
});

test("half of a limit is the engine's", () => {
  expect(engineMemory(512 * MIB, 24_576 * MIB)).toBe(256 * MIB);
});
