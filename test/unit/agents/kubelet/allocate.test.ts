import { expect, test } from "bun:test";
import {
  allocatedPod,
  changedResources,
  needsRestart,
  resizeRefusal,
  resourcesByName,
  wantsResize,
} from "#agents/kubelet/allocate.ts";
import { planPod } from "#agents/kubelet/plan.ts";
import { podStatus } from "#agents/kubelet/status.ts";
import { box, podOf, run, stateOf } from "#test/support/podstate.ts";

const asks = (cpu: string, memory = "1Gi") => ({ requests: { cpu, memory } });
const podWith = (cpu: string) => podOf({ containers: [box("main", { resources: asks(cpu) })] });
const small = podWith("1");
const record = (cpu: string) => ({
  initialized: true,
  allocated: resourcesByName(podWith(cpu)),
  containers: {
    main: { restarts: 0, current: run(small, "main", { resources: asks("1") }) },
  },
});

test("resources differ by amount, not by spelling", () => {
  expect(changedResources(asks("1"), asks("1000m", "1024Mi"))).toEqual([]);
  expect(changedResources(asks("1"), asks("2"))).toEqual(["cpu"]);
  expect(changedResources(undefined, asks("1"))).toEqual(["cpu", "memory"]);
  expect(changedResources(asks("1"), { ...asks("1"), limits: { memory: "2Gi" } })).toEqual([
    "memory",
  ]);
});

test("a wish counts only once it was granted", () => {
  const { record: kept } = stateOf(podWith("2"), { record: record("1") });
  expect(wantsResize(podWith("2"), kept)).toBe(true);
  expect(wantsResize(small, kept)).toBe(false);
  expect(allocatedPod(podWith("2"), kept).spec?.containers[0]?.resources).toEqual(asks("1"));
});

test("the node refuses for ever or for now", () => {
  const allocatable = { cpu: "2", memory: "4Gi" };
  expect(resizeRefusal(podWith("2"), [], allocatable)).toBeUndefined();
  expect(resizeRefusal(podWith("3"), [], allocatable)?.reason).toBe("Infeasible");
  expect(resizeRefusal(podWith("2"), [small], allocatable)).toEqual({
    reason: "Deferred",
    message: "Node didn't have enough resource: cpu, requested: 2000, used: 1000, capacity: 2000",
  });
});

test("what was granted is done, in place or by a restart", () => {
  const state = stateOf(podWith("2"), { record: record("2") });
  expect(planPod(state).steps).toEqual([{ do: "resize", container: "main" }]);
  expect(planPod(stateOf(podWith("2"), { record: record("1") })).steps).toEqual([]);
  const policy = [{ resourceName: "cpu", restartPolicy: "RestartContainer" }];
  const strict = podOf({
    containers: [box("main", { resources: asks("2"), resizePolicy: policy })],
  });
  const steps = planPod(stateOf(strict, { record: record("2") })).steps;
  expect(steps.map((step) => step.do)).toEqual(["stop"]);
  expect(needsRestart(box("a", { resizePolicy: policy }), ["memory"])).toBe(false);
});

test("conditions tell what is open, and go when nothing is", () => {
  const types = (status: ReturnType<typeof podStatus>) =>
    status.conditions?.map(({ type }) => type);
  const going = podStatus(stateOf(podWith("2"), { record: record("2") }), undefined);
  expect(types(going)).toContain("PodResizeInProgress");
  const resizePending = { reason: "Deferred" as const, message: "m" };
  const waiting = stateOf(podWith("2"), { record: { ...record("1"), resizePending } });
  const pending = podStatus(waiting, going);
  expect(types(pending)).toContain("PodResizePending");
  expect(types(pending)).not.toContain("PodResizeInProgress");
  expect(types(podStatus(stateOf(small, { record: record("1") }), pending))).not.toContain(
    "PodResizePending",
  );
});
