import { describe, expect, test } from "bun:test";
import { type AdmitInput, admitPod } from "#agents/kubelet/admit.ts";
import type { Node, PodSpec } from "#resources/types.gen.ts";
import { box, podOf } from "#test/support/podstate.ts";

const node = (rest: Partial<Node["spec"]> = {}): Node => ({
  metadata: { name: "n1", labels: { disk: "ssd" } },
  spec: rest,
});

const asks = (cpu: string) => box("main", { resources: { requests: { cpu } } });

const reason = (spec: Partial<PodSpec>, rest: Partial<AdmitInput> = {}) =>
  admitPod({
    pod: podOf(spec),
    node: node(),
    allocatable: { cpu: "1", memory: "1Gi", pods: "3" },
    others: [],
    ...rest,
  })?.reason;

test("a pod that fits is taken", () => {
  expect(reason({})).toBeUndefined();
  expect(reason({ containers: [asks("1")] })).toBeUndefined();
});

test("one that asks for too much is refused by the name of the resource", () => {
  const others = [podOf({ containers: [asks("600m")] })];
  const verdict = admitPod({
    pod: podOf({ containers: [asks("500m")] }),
    node: node(),
    allocatable: { cpu: "1", pods: "3" },
    others,
  });
  expect(verdict).toEqual({
    reason: "OutOfcpu",
    message:
      "Pod was rejected: Node didn't have enough resource: cpu, requested: 500, used: 600, capacity: 1000",
  });
  const device = box("main", { resources: { requests: { "x.io/dev": "1" } } });
  const few = { cpu: "1", pods: "3", "x.io/dev": "0" };
  expect(reason({ containers: [device] }, { allocatable: few })).toBe("OutOfx.io/dev");
  // A device that the node does not count is one of the whole cluster.
  expect(reason({ containers: [device] })).toBeUndefined();
  expect(reason({}, { others: [podOf(), podOf(), podOf()] })).toBe("OutOfpods");
});

test("the node must be one that the pod wants, and bear its taints", () => {
  expect(reason({ nodeSelector: { disk: "ssd" } })).toBeUndefined();
  expect(reason({ nodeSelector: { disk: "hdd" } })).toBe("NodeAffinity");
  const evicting = { node: node({ taints: [{ key: "k", effect: "NoExecute" }] }) };
  expect(reason({}, evicting)).toBe("TaintToleration");
  expect(reason({ tolerations: [{ operator: "Exists" }] }, evicting)).toBeUndefined();
  const filling = { node: node({ taints: [{ key: "k", effect: "NoSchedule" }] }) };
  expect(reason({}, filling)).toBeUndefined();
});

test("a port of the node is taken once", () => {
  const port = (hostPort: number, hostIP?: string) => ({
    containers: [
      box("main", { ports: [{ containerPort: 1, hostPort, ...(hostIP && { hostIP }) }] }),
    ],
  });
  const others = [podOf(port(80, "10.0.0.1"))];
  expect(reason(port(80), { others })).toBe("NodePorts");
  expect(reason(port(80, "10.0.0.2"), { others })).toBeUndefined();
  expect(reason(port(81), { others })).toBeUndefined();
});

describe("sysctls", () => {
  const spec = (name: string) => ({ securityContext: { sysctls: [{ name, value: "1" }] } });
  test.each([
    ["kernel.shm_rmid_forced", [], undefined],
    ["kernel/shm_rmid_forced", [], undefined],
    ["net.core.somaxconn", [], "SysctlForbidden"],
    ["net.core.somaxconn", ["net.core.*"], undefined],
    ["kernel.msgmax", ["kernel.msgmax"], undefined],
  ] as const)("%s with %j", (name, allowedSysctls, expected) => {
    expect(reason(spec(name), { allowedSysctls })).toBe(expected);
  });
});

test("a pod of another system is refused", () => {
  expect(reason({ os: { name: "windows" } })).toBe("PodOSNotSupported");
});

test("a profile of AppArmor needs a kernel that has it turned on", () => {
  const as = (type: string) => ({ securityContext: { appArmorProfile: { type } } });
  expect(reason(as("RuntimeDefault"))).toBe("AppArmor");
  expect(reason(as("RuntimeDefault"), { appArmor: true })).toBeUndefined();
  expect(reason(as("Unconfined"))).toBeUndefined();
  const own = { ...as("RuntimeDefault"), containers: [box("main", as("Unconfined"))] };
  expect(reason(own)).toBeUndefined();
  expect(reason({ initContainers: [box("i", as("Localhost"))] })).toBe("AppArmor");
});
