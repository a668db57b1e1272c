import { describe, expect, test } from "bun:test";
import { podStatus } from "#agents/kubelet/status.ts";
import { statusPatch } from "#agents/kubelet/statuspatch.ts";
import type { PodRecord, RunRecord } from "#agents/kubelet/types.ts";
import type { PodSpec, PodStatus } from "#resources/types.gen.ts";
import { box, ended, NOW, podOf, run, type StateOptions, stateOf } from "#test/support/podstate.ts";

const record = (
  runs: Record<string, RunRecord>,
  rest: Partial<PodRecord> = { initialized: true },
): Partial<PodRecord> => ({
  ...rest,
  containers: Object.fromEntries(
    Object.entries(runs).map(([name, current]) => [name, { restarts: current.attempt, current }]),
  ),
});

const statusOf = (spec: Partial<PodSpec>, options: StateOptions = {}, before?: PodStatus) =>
  podStatus(stateOf(podOf(spec), options), before);

const conditionsOf = (status: PodStatus) =>
  Object.fromEntries((status.conditions ?? []).map(({ type, status: text }) => [type, text]));

const pod = podOf();

describe("phase", () => {
  const two = { containers: [box("a"), box("b")], restartPolicy: "Never" };
  const twoPod = podOf(two);

  test.each([
    ["nothing started", {}, {}, "Pending"],
    ["running", {}, { record: record({ main: run(pod, "main") }) }, "Running"],
    ["ended, restarts", {}, { record: record({ main: ended(pod, "main", 0) }) }, "Running"],
    [
      "ended well",
      { restartPolicy: "Never" },
      { record: record({ main: ended(pod, "main", 0) }) },
      "Succeeded",
    ],
    [
      "ended badly",
      { restartPolicy: "Never" },
      { record: record({ main: ended(pod, "main", 1) }) },
      "Failed",
    ],
    [
      "one of two ended",
      two,
      { record: record({ a: ended(twoPod, "a", 1), b: run(twoPod, "b") }) },
      "Running",
    ],
    [
      "both ended, one badly",
      two,
      { record: record({ a: ended(twoPod, "a", 1), b: ended(twoPod, "b", 0) }) },
      "Failed",
    ],
  ] as const)("%s", (_, spec, options, phase) => {
    expect(statusOf(spec as Partial<PodSpec>, options as StateOptions).phase).toBe(phase);
  });

  test("an init container that failed for good fails the pod", () => {
    const spec = { initContainers: [box("i")], restartPolicy: "Never" };
    const options = { record: record({ i: ended(podOf(spec), "i", 1) }, { initialized: false }) };
    expect(statusOf(spec, options).phase).toBe("Failed");
    expect(statusOf({ ...spec, restartPolicy: "Always" }, options).phase).toBe("Pending");
  });

  test("a verdict counts when all containers have ended", () => {
    const verdict = { reason: "Evicted", message: "m", disruption: true };
    const going = { record: { ...record({ main: run(pod, "main") }), verdict } };
    expect(statusOf({}, going).phase).toBe("Running");
    const gone = statusOf({}, { record: { ...record({ main: ended(pod, "main", 0) }), verdict } });
    expect(gone).toMatchObject({ phase: "Failed", reason: "Evicted", message: "m" });
    expect(conditionsOf(gone)["DisruptionTarget"]).toBe("True");
  });

  test("a deleted pod whose programs ended well has succeeded", () => {
    const gone = podOf({}, { deletionTimestamp: "2026-01-01T00:00:00Z" });
    const options = { record: record({ main: ended(gone, "main", 0) }) };
    expect(podStatus(stateOf(gone, options), undefined).phase).toBe("Succeeded");
  });
});

describe("container states", () => {
  const first = (options: StateOptions, spec: Partial<PodSpec> = {}) =>
    statusOf(spec, options).containerStatuses?.[0];

  test("wait with a reason", () => {
    expect(first({})?.state?.waiting?.reason).toBe("ContainerCreating");
    const spec = { initContainers: [box("i")] };
    expect(first({}, spec)?.state?.waiting?.reason).toBe("PodInitializing");
    const failures = {
      "image:main": {
        reason: "ErrImagePull",
        message: "no such host",
        count: 1,
        atMs: NOW,
        subject: "busybox:1",
      },
    };
    expect(first({ failures, images: [] })?.state?.waiting).toEqual({
      reason: "ErrImagePull",
      message: "no such host",
    });
    expect(first({ failures, images: [], now: NOW + 2_000 })?.state?.waiting).toEqual({
      reason: "ImagePullBackOff",
      message: 'Back-off pulling image "busybox:1": ErrImagePull: no such host',
    });
  });

  test("of a crash loop names the wait and keeps the last end", () => {
    const current = ended(pod, "main", 3, { attempt: 4 });
    const containers = { main: { restarts: 4, current, backoff: { ms: 80_000, atMs: NOW - 1 } } };
    const status = first({ record: { initialized: true, containers } });
    expect(status?.state?.waiting).toEqual({
      reason: "CrashLoopBackOff",
      message: "back-off 1m20s restarting failed container=main pod=web_shop(u1)",
    });
    expect(status?.lastState?.terminated?.exitCode).toBe(3);
    expect(status?.restartCount).toBe(4);
    const longest = { main: { ...containers.main, backoff: { ms: 300_000, atMs: NOW - 1 } } };
    const text = first({ record: { initialized: true, containers: longest } })?.state?.waiting;
    expect(text?.message).toStartWith("back-off 5m0s ");
  });

  test("tell ids, ends and readiness", () => {
    const current = ended(pod, "main", 137, { reason: "OOMKilled", message: "bye" });
    const options = { record: record({ main: current }) };
    expect(first(options, { restartPolicy: "Never" })).toMatchObject({
      containerID: "containerd://id-main",
      imageID: "docker.io/library/busybox@sha256:1",
      ready: false,
      started: false,
      state: {
        terminated: {
          exitCode: 137,
          reason: "OOMKilled",
          message: "bye",
          containerID: "containerd://id-main",
        },
      },
    });
    const running = { record: record({ main: run(pod, "main") }) };
    expect(first(running)).toMatchObject({ ready: true, started: true });
    const probes = { main: { started: false, ready: false } };
    expect(first({ ...running, probes })).toMatchObject({ ready: false, started: false });
  });

  test("an init container that is done is ready and not started", () => {
    const spec = { initContainers: [box("i")] };
    const options = { record: record({ i: ended(podOf(spec), "i", 0) }, {}) };
    expect(statusOf(spec, options).initContainerStatuses?.[0]).toMatchObject({
      ready: true,
      started: false,
    });
  });
});

describe("conditions", () => {
  test("of a running pod", () => {
    const status = statusOf({}, { record: record({ main: run(pod, "main") }) });
    expect(conditionsOf(status)).toEqual({
      PodReadyToStartContainers: "True",
      Initialized: "True",
      Ready: "True",
      ContainersReady: "True",
      PodScheduled: "True",
    });
  });

  test("wait for readiness gates, which others set", () => {
    const spec = { readinessGates: [{ conditionType: "x.io/lb" }] };
    const options = { record: record({ main: run(pod, "main") }) };
    const waiting = statusOf(spec, options);
    expect(waiting.conditions?.find(({ type }) => type === "Ready")).toMatchObject({
      status: "False",
      reason: "ReadinessGatesNotReady",
    });
    const before = { conditions: [{ type: "x.io/lb", status: "True" }] };
    const ready = statusOf(spec, options, before);
    expect(conditionsOf(ready)).toMatchObject({ Ready: "True", "x.io/lb": "True" });
  });

  test("keep the time of their last change", () => {
    const options = { record: record({ main: run(pod, "main") }) };
    const before = statusOf({}, options);
    const after = statusOf({}, { ...options, now: NOW + 60_000 }, before);
    expect(after).toEqual(before);
    const probes = { main: { started: true, ready: false } };
    const changed = statusOf({}, { ...options, now: NOW + 60_000, probes }, before);
    const ready = changed.conditions?.find(({ type }) => type === "Ready");
    expect(ready?.lastTransitionTime).toBe("2026-01-01T00:01:00Z");
    expect(ready?.message).toBe("containers with unready status: [main]");
  });

  test("say that the pod is over", () => {
    const options = { record: record({ main: ended(pod, "main", 0) }) };
    const status = statusOf({ restartPolicy: "Never" }, options);
    const reasons = (status.conditions ?? []).map(({ type, reason }) => [type, reason]);
    expect(reasons).toContainEqual(["Initialized", "PodCompleted"]);
    expect(reasons).toContainEqual(["Ready", "PodCompleted"]);
  });
});

describe("patch", () => {
  const full = statusOf({}, { record: record({ main: run(pod, "main") }) });

  test("is nothing for the same status, whatever the order of its keys", () => {
    expect(statusPatch("u1", full, full)).toBeUndefined();
    const reversed = Object.fromEntries(Object.entries(full).reverse());
    expect(statusPatch("u1", reversed, full)).toBeUndefined();
  });

  test("has what changed, and takes away by name what a condition no longer says", () => {
    const before: PodStatus = {
      ...full,
      conditions: [{ type: "Ready", status: "False", reason: "R", message: "M" }],
    };
    const after: PodStatus = { ...full, conditions: [{ type: "Ready", status: "True" }] };
    expect(statusPatch("u1", before, after)).toEqual({
      metadata: { uid: "u1" },
      status: { conditions: [{ type: "Ready", status: "True", reason: null, message: null }] },
    });
  });

  test("replaces addresses and removes what is no longer told", () => {
    const before: PodStatus = { ...full, podIPs: [{ ip: "1.1.1.1" }], message: "old" };
    expect(statusPatch("u1", before, full)).toMatchObject({
      status: {
        podIPs: [{ ip: "10.42.0.2" }, { ip: "1.1.1.1", $patch: "delete" }],
        message: null,
      },
    });
  });
});
