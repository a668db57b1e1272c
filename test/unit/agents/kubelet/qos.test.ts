import { describe, expect, test } from "bun:test";
import {
  cgroupParent,
  classShares,
  limitsOf,
  nodeShares,
  oomScoreAdj,
  podLimitsOf,
} from "#agents/kubelet/qos.ts";
import { box, podOf } from "#test/support/podstate.ts";

const GIB = 2 ** 30;
const both = { cpu: "1", memory: "1Gi" };

describe("the class", () => {
  test("is in the path of the control group", () => {
    const best = { containers: [box("a")] };
    const top = { containers: [box("a", { resources: { limits: both, requests: both } })] };
    expect(cgroupParent("/kubepods", best, "u")).toBe("/kubepods/besteffort/podu");
    expect(cgroupParent("/kubepods", top, "u")).toBe("/kubepods/podu");
  });
});

test.each([
  [{}, { cpuShares: 2 }],
  [{ requests: { cpu: "100m" } }, { cpuShares: 102 }],
  [{ requests: { cpu: "1m" } }, { cpuShares: 2 }],
  [{ limits: { cpu: "250m" } }, { cpuShares: 256, cpuQuotaMicros: 25_000 }],
  [{ limits: { cpu: "1m" } }, { cpuShares: 2, cpuQuotaMicros: 1_000 }],
  [{ limits: { memory: "64Mi" } }, { cpuShares: 2, memoryLimitBytes: 67_108_864 }],
] as const)("limits of %j are %j", (resources, expected) => {
  expect(limitsOf(resources)).toEqual(expected);
});

describe("OOM score", () => {
  test("rises the less a container asked for, and is never negative", () => {
    const of = (resources: object) => {
      const container = box("a", { resources });
      return oomScoreAdj({ containers: [container] }, container, GIB);
    };
    expect(of({})).toBe(1000);
    expect(of({ limits: both, requests: both })).toBe(0);
    expect(of({ requests: { memory: "512Mi" } })).toBe(500);
    expect(of({ requests: { memory: "1Mi" } })).toBe(999);
    expect(of({ requests: { memory: "2Gi" } })).toBe(3);
    expect(of({ requests: { cpu: "1" } })).toBe(999);
  });
});

describe("limits of a whole pod", () => {
  const limits = { cpu: "500m", memory: "64Mi" };

  test("are those of all containers together, where each has one", () => {
    const both = podOf({
      containers: [box("a", { resources: { limits } }), box("b", { resources: { limits } })],
    });
    expect(podLimitsOf(both)).toMatchObject({ cpuQuotaMicros: 100_000, memoryLimitBytes: 2 ** 27 });
    const one = podOf({ containers: [box("a", { resources: { limits } }), box("b")] });
    expect(podLimitsOf(one)).toEqual({ cpuShares: 2 });
  });

  test("hold for a larger init container too", () => {
    const init = box("i", { resources: { limits: { cpu: "1", memory: "256Mi" } } });
    const pod = podOf({
      initContainers: [init],
      containers: [box("a", { resources: { limits } })],
    });
    expect(podLimitsOf(pod)).toMatchObject({ cpuQuotaMicros: 100_000, memoryLimitBytes: 2 ** 28 });
  });

  test("may be the pod's own", () => {
    const pod = podOf({ resources: { limits: { memory: "1Gi" }, requests: { cpu: "250m" } } });
    expect(podLimitsOf(pod)).toEqual({ cpuShares: 256, memoryLimitBytes: 2 ** 30 });
  });

  test("grow by what the runtime itself takes", () => {
    const overhead = { cpu: "20m", memory: "16Mi" };
    const pod = podOf({ overhead, containers: [box("a", { resources: { limits } })] });
    expect(podLimitsOf(pod)).toMatchObject({ cpuQuotaMicros: 52_000, memoryLimitBytes: 80 << 20 });
    expect(podLimitsOf(podOf({ overhead })).memoryLimitBytes).toBeUndefined();
  });

  test("give all pods together what the node has for them", () => {
    expect(nodeShares("3900m")).toBe(3993);
    expect(nodeShares("64")).toBe(65_536);
    expect(nodeShares(undefined)).toBe(1024);
  });

  test("give the classes their shares of the CPU", () => {
    const asks = podOf({ containers: [box("a", { resources: { requests: { cpu: "1" } } })] });
    expect(classShares([asks, asks, podOf()])).toEqual({ burstable: 2048, besteffort: 2 });
    expect(classShares([])).toEqual({ burstable: 2, besteffort: 2 });
  });
});
