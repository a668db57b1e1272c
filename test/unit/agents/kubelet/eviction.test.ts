import { describe, expect, test } from "bun:test";
import {
  needsOf,
  overStorage,
  type PodUse,
  refusedUnder,
  type Supply,
  victimFor,
} from "#agents/kubelet/eviction.ts";
import { quantityValue } from "#resources/quantity.ts";
import type { PodSpec } from "#resources/types.gen.ts";
import { box, podOf } from "#test/support/podstate.ts";

const GIB = 2 ** 30;
const plenty: Supply = {
  memoryBytes: GIB,
  memoryCapacityBytes: 2 * GIB,
  diskBytes: 50,
  diskCapacityBytes: 100,
  inodes: 50,
  inodesCapacity: 100,
  pids: 50,
  pidsCapacity: 100,
};
const kinds = (rest: Partial<Supply>) => needsOf({ ...plenty, ...rest }).map(({ kind }) => kind);

test("needs are what is below its threshold", () => {
  expect(kinds({})).toEqual([]);
  expect(kinds({ memoryBytes: 100 * 2 ** 20 - 1 })).toEqual(["memory"]);
  expect(kinds({ diskBytes: 9 })).toEqual(["disk"]);
  expect(kinds({ inodes: 4 })).toEqual(["disk"]);
  expect(kinds({ pids: 4 })).toEqual(["pid"]);
  expect(kinds({ inodes: 0, inodesCapacity: 0 })).toEqual([]);
});

describe("the victim", () => {
  const [need] = needsOf({ ...plenty, memoryBytes: 1 });
  const use = (name: string, memory: number, request: string, priority = 0): PodUse => ({
    pod: podOf(
      { priority, containers: [box("main", { resources: { requests: { memory: request } } })] },
      { name },
    ),
    memoryBytes: memory,
    diskBytes: 0,
    pids: 0,
  });
  const victim = (...uses: PodUse[]) => need && victimFor(need, uses)?.pod.metadata?.name;

  test("uses more than it asked for, before one that does not", () => {
    expect(victim(use("in", 5 * GIB, "6Gi"), use("over", 2 * GIB, "1Gi", 9))).toBe("over");
  });

  test("has the lower priority, then the larger excess", () => {
    expect(victim(use("a", 3 * GIB, "1Gi", 5), use("b", 2 * GIB, "1Gi", 1))).toBe("b");
    expect(victim(use("a", 3 * GIB, "1Gi"), use("b", 2 * GIB, "1Gi"))).toBe("a");
  });

  test("is never one that the node needs", () => {
    expect(victim(use("critical", 3 * GIB, "0", 2_000_000_000))).toBeUndefined();
    expect(victim()).toBeUndefined();
  });

  test("is told why", () => {
    const found = need && victimFor(need, [use("a", GIB, "0")]);
    expect(found?.verdict).toEqual({
      reason: "Evicted",
      message:
        "The node was low on resource: memory. Threshold quantity: 100Mi, available: 0Mi. The pod was using 1048576Ki. ",
      graceSeconds: 0,
      disruption: true,
    });
  });
});

test("a node under pressure refuses by kind", () => {
  const none = { memory: false, disk: false, pid: false };
  expect(refusedUnder(none, podOf(), true)).toBeUndefined();
  expect(refusedUnder({ ...none, memory: true }, podOf(), false)).toBeUndefined();
  expect(refusedUnder({ ...none, memory: true }, podOf(), true)?.message).toBe(
    "The node had condition: [MemoryPressure]. ",
  );
  expect(refusedUnder({ ...none, disk: true }, podOf(), false)?.reason).toBe("Evicted");
  const critical = podOf({ priority: 2_000_001_000 });
  expect(refusedUnder({ ...none, disk: true }, critical, true)).toBeUndefined();
});

describe("limits of local storage", () => {
  const over = (
    spec: Partial<PodSpec>,
    volumes: Record<string, number>,
    containers: Record<string, number>,
  ) => overStorage(podOf(spec), { volumes, containers }, quantityValue)?.message;
  const limited = {
    containers: [box("main", { resources: { limits: { "ephemeral-storage": "1Ki" } } })],
  };

  test("of a volume, a container, and all together", () => {
    const volumes = [{ name: "v", emptyDir: { sizeLimit: "1Ki" } }];
    expect(over({ volumes }, { v: 1024 }, {})).toBeUndefined();
    expect(over({ volumes }, { v: 1025 }, {})).toStartWith('Usage of EmptyDir volume "v"');
    expect(over(limited, {}, { main: 1025 })).toStartWith("Container main exceeded");
    expect(over(limited, { v: 600 }, { main: 600 })).toStartWith("Pod ephemeral local storage");
    expect(over({}, { v: 1e9 }, { main: 1e9 })).toBeUndefined();
  });
});
