import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { graceSeconds, nextBackoff, planPod, restartInMs } from "#agents/kubelet/plan.ts";
import type { PodPlan, Step } from "#agents/kubelet/types.ts";
import type { PodSpec } from "#resources/types.gen.ts";
import { simulate } from "#test/support/podsim.ts";
import { box, ended, NOW, podOf, run, type StateOptions, stateOf } from "#test/support/podstate.ts";
import { tries } from "#test/support/property.ts";

const deletion = { deletionTimestamp: "2026-01-01T00:00:30Z", deletionGracePeriodSeconds: 30 };

const words = (plan: PodPlan): string[] =>
  plan.steps.map((step: Step) => ("container" in step ? `${step.do} ${step.container}` : step.do));

const planOf = (spec: Partial<PodSpec>, options: StateOptions = {}): string[] =>
  words(planPod(stateOf(podOf(spec), options)));

describe("starting", () => {
  test("network, volumes and image are got at once", () => {
    const { sandbox: _, ...bare } = stateOf(podOf()).record;
    const state = stateOf(podOf(), { volumesReady: false, images: [] });
    const fresh = { ...state, record: { ...bare, sandboxes: 0 } };
    expect(words(planPod(fresh))).toEqual(["attach", "volumes", "image main"]);
  });

  test("what is under way is not begun again", () => {
    const operations = {
      attach: { startedAtMs: NOW },
      volumes: { startedAtMs: NOW },
      "image:main": { startedAtMs: NOW },
    };
    const { sandbox: _, ...bare } = stateOf(podOf()).record;
    const state = stateOf(podOf(), { volumesReady: false, images: [], operations });
    expect(words(planPod({ ...state, record: bare }))).toEqual([]);
  });

  test("containers start one after the other, in order", () => {
    const spec = { containers: [box("a"), box("b")] };
    const pod = podOf(spec);
    expect(planOf(spec)).toEqual(["start a"]);
    const record = {
      initialized: true,
      containers: { a: { restarts: 0, current: run(pod, "a") } },
    };
    expect(planOf(spec, { record })).toEqual(["start b"]);
    expect(planOf(spec, { record, operations: { "start:b": { startedAtMs: NOW } } })).toEqual([]);
  });

  test("one whose image is being fetched holds back the next; one that failed does not", () => {
    const spec = { containers: [box("a", { image: "x:1" }), box("b")] };
    expect(planOf(spec, { operations: { "image:a": { startedAtMs: NOW } } })).toEqual([]);
    const failure = { reason: "ErrImagePull", message: "", count: 1, atMs: NOW, subject: "x:1" };
    expect(planOf(spec, { failures: { "image:a": failure } })).toEqual(["start b"]);
  });

  test("policy Always fetches for each run", () => {
    const spec = { containers: [box("a", { imagePullPolicy: "Always" })] };
    expect(planOf(spec)).toEqual(["image a"]);
    expect(planOf(spec, { pulledFor: { a: 0 } })).toEqual(["start a"]);
    const pod = podOf(spec);
    const record = {
      initialized: true,
      containers: { a: { restarts: 0, current: ended(pod, "a", 1) } },
    };
    expect(planOf(spec, { record, pulledFor: { a: 0 } })).toEqual(["image a"]);
  });

  test("a failed pull waits 10 s, 20 s, … 5 min", () => {
    const spec = { containers: [box("a", { image: "x:1" })] };
    for (const [count, waitMs] of [
      [1, 10_000],
      [2, 20_000],
      [6, 300_000],
      [40, 300_000],
    ] as const) {
      const failure = { reason: "ErrImagePull", message: "", count, atMs: NOW, subject: "x:1" };
      const failures = { "image:a": failure };
      expect(planOf(spec, { failures, now: NOW + waitMs - 1 })).toEqual([]);
      expect(planOf(spec, { failures, now: NOW + waitMs })).toEqual(["image a"]);
    }
    const other = { reason: "ErrImagePull", message: "", count: 5, atMs: NOW, subject: "x:0" };
    expect(planOf(spec, { failures: { "image:a": other } })).toEqual(["image a"]);
  });
});

describe("init containers and sidecars", () => {
  const spec = {
    initContainers: [box("i1"), box("side", { restartPolicy: "Always" }), box("i2")],
  };
  const pod = podOf(spec);
  const with_ = (names: Record<string, ReturnType<typeof run>>) => ({
    containers: Object.fromEntries(
      Object.entries(names).map(([name, current]) => [name, { restarts: 0, current }]),
    ),
  });

  test("run in order", () => {
    expect(planOf(spec)).toEqual(["start i1"]);
    expect(planOf(spec, { record: with_({ i1: run(pod, "i1") }) })).toEqual([]);
    const first = { i1: ended(pod, "i1", 0) };
    expect(planOf(spec, { record: with_(first) })).toEqual(["start side"]);
    const second = { ...first, side: run(pod, "side") };
    const probes = { side: { started: false, ready: false } };
    expect(planOf(spec, { record: with_(second), probes })).toEqual([]);
    expect(planOf(spec, { record: with_(second) })).toEqual(["start i2"]);
    const third = { ...second, i2: ended(pod, "i2", 0) };
    expect(planOf(spec, { record: with_(third) })).toEqual(["start main"]);
  });

  test("one that failed is tried again, or fails the pod under policy Never", () => {
    const record = with_({ i1: ended(pod, "i1", 1) });
    expect(planOf(spec, { record })).toEqual(["start i1"]);
    expect(planOf({ ...spec, restartPolicy: "Never" }, { record })).toEqual(["cleanup"]);
  });

  test("run again in a new sandbox", () => {
    const record = { ...with_({ i1: ended(pod, "i1", 0) }), sandboxes: 2 };
    expect(planOf(spec, { record })).toEqual(["start i1"]);
  });

  test("a sidecar that ends is started again, also while the main container runs", () => {
    const names = { i1: ended(pod, "i1", 0), i2: ended(pod, "i2", 0), main: run(pod, "main") };
    const record = { ...with_({ ...names, side: ended(pod, "side", 0) }), initialized: true };
    expect(planOf(spec, { record })).toEqual(["start side"]);
  });

  test("sidecars are stopped after the main containers, from the last on", () => {
    const two = {
      initContainers: [
        box("s1", { restartPolicy: "Always" }),
        box("s2", { restartPolicy: "Always" }),
      ],
    };
    const gone = podOf(two, deletion);
    const runs = {
      s1: run(gone, "s1"),
      s2: run(gone, "s2"),
      main: run(gone, "main"),
    };
    const plan = (names: Record<string, ReturnType<typeof run>>) =>
      words(planPod(stateOf(gone, { record: { ...with_(names), initialized: true } })));
    expect(plan(runs)).toEqual(["stop main"]);
    const after = { ...runs, main: ended(gone, "main", 143) };
    expect(plan(after)).toEqual(["stop s2"]);
    expect(plan({ ...after, s2: ended(gone, "s2", 0) })).toEqual(["stop s1"]);
    expect(plan({ ...after, s2: ended(gone, "s2", 0), s1: ended(gone, "s1", 0) })).toEqual([
      "cleanup",
    ]);
  });
});

describe("restarting", () => {
  const pod = podOf();
  const record = (rest: object, backoff?: { ms: number; atMs: number }) => ({
    initialized: true,
    containers: {
      main: { restarts: 0, current: ended(pod, "main", 1, rest), ...(backoff && { backoff }) },
    },
  });

  test("follows the policy", () => {
    const plan = (restartPolicy: string, exitCode: number) =>
      planOf(
        { restartPolicy },
        {
          record: {
            initialized: true,
            containers: { main: { restarts: 0, current: ended(pod, "main", exitCode) } },
          },
        },
      );
    expect(plan("Always", 0)).toEqual(["start main"]);
    expect(plan("OnFailure", 1)).toEqual(["start main"]);
    expect(plan("OnFailure", 0)).toEqual(["cleanup"]);
    expect(plan("Never", 1)).toEqual(["cleanup"]);
  });

  test("a container's own rules go before", () => {
    const exitCodes = { operator: "In", values: [42] };
    const restartPolicyRules = [{ action: "Restart", exitCodes }];
    const spec = { restartPolicy: "Never", containers: [box("main", { restartPolicyRules })] };
    const plan = (exitCode: number) =>
      planOf(spec, {
        record: {
          initialized: true,
          containers: { main: { restarts: 0, current: ended(podOf(spec), "main", exitCode) } },
        },
      });
    expect(plan(42)).toEqual(["start main"]);
    expect(plan(1)).toEqual(["cleanup"]);
  });

  test("the first is immediate, the next wait 10 s, 20 s, at most 5 min", () => {
    const state = stateOf(pod, { record: record({}) });
    expect(restartInMs(state, "main")).toBe(0);
    expect(nextBackoff(state, "main")).toEqual({ ms: 10_000, atMs: NOW });
    const second = stateOf(pod, { record: record({}, { ms: 10_000, atMs: NOW - 1_000 }) });
    expect(restartInMs(second, "main")).toBe(10_000);
    expect(nextBackoff(second, "main").ms).toBe(20_000);
    const last = stateOf(pod, { record: record({}, { ms: 300_000, atMs: NOW - 1_000 }) });
    expect(nextBackoff(last, "main").ms).toBe(300_000);
    expect(words(planPod(second))).toEqual([]);
    expect(planPod(second).againMs).toBe(10_000);
  });

  test("ten minutes of running forget the past", () => {
    const state = stateOf(pod, { record: record({}, { ms: 160_000, atMs: NOW - 600_001 }) });
    expect(restartInMs(state, "main")).toBe(0);
    expect(nextBackoff(state, "main").ms).toBe(10_000);
  });

  test("another image does not wait", () => {
    const changed = podOf({ containers: [box("main", { image: "busybox:2" })] });
    const old = record({ hash: "main=busybox:1" }, { ms: 300_000, atMs: NOW - 1 });
    const state = stateOf(changed, { record: old, images: ["busybox:2"] });
    expect(words(planPod(state))).toEqual(["start main"]);
  });

  test("a changed image is fetched first, and edits in a row are one change", () => {
    const changed = podOf({ containers: [box("main", { image: "busybox:2" })] });
    const current = run(pod, "main");
    const running = { initialized: true, containers: { main: { restarts: 0, current } } };
    const plan = (rest: StateOptions) => planPod(stateOf(changed, { record: running, ...rest }));
    expect(words(plan({ changedAtMs: NOW }))).toEqual(["image main"]);
    const fetched = { images: ["busybox:2"] };
    expect(words(plan({ ...fetched, changedAtMs: NOW - 400 }))).toEqual([]);
    expect(plan({ ...fetched, changedAtMs: NOW - 400 }).againMs).toBe(600);
    expect(words(plan({ ...fetched, changedAtMs: NOW - 1_000 }))).toEqual(["stop main"]);
  });

  test("a changed image or a probe that gave up stops what runs", () => {
    const current = run(pod, "main", { hash: "main=busybox:0" });
    const running = { initialized: true, containers: { main: { restarts: 0, current } } };
    expect(planOf({}, { record: running })).toEqual(["stop main"]);
    const fine = {
      initialized: true,
      containers: { main: { restarts: 0, current: run(pod, "main") } },
    };
    const probes = {
      main: { started: true, ready: false, unhealthy: { message: "m", graceSeconds: 3 } },
    };
    const plan = planPod(stateOf(pod, { record: fine, probes }));
    expect(plan.steps).toEqual([
      { do: "stop", container: "main", graceMs: 3_000, preStop: true, message: "m" },
    ]);
  });
});

describe("ending", () => {
  const gone = podOf({}, deletion);
  const running = {
    initialized: true,
    containers: { main: { restarts: 0, current: run(gone, "main") } },
  };

  test("a shortened grace reaches a stop that is under way", () => {
    const under = (graceMs: number) => ({
      record: running,
      operations: { "stop:main": { startedAtMs: NOW, graceMs } },
    });
    expect(words(planPod(stateOf(gone, under(30_000))))).toEqual([]);
    expect(words(planPod(stateOf(gone, under(60_000))))).toEqual(["stop main"]);
  });

  test("containers, then everything else, then the API", () => {
    expect(words(planPod(stateOf(gone, { record: running })))).toEqual(["stop main"]);
    const over = {
      initialized: true,
      containers: { main: { restarts: 0, current: ended(gone, "main", 0) } },
    };
    expect(words(planPod(stateOf(gone, { record: over })))).toEqual(["cleanup"]);
    const clean = { ...over, cleaned: true };
    expect(words(planPod(stateOf(gone, { record: clean })))).toEqual(["finish"]);
    expect(words(planPod(stateOf(gone, { record: clean, deletionTold: true })))).toEqual([]);
  });

  test("a start that is under way is waited for", () => {
    const operations = { "start:main": { startedAtMs: NOW } };
    expect(words(planPod(stateOf(gone, { operations })))).toEqual([]);
  });

  test("a pod that the API lost is cleared away", () => {
    expect(words(planPod(stateOf(podOf(), { exists: false, record: running })))).toEqual([
      "stop main",
    ]);
    const record = { cleaned: true };
    expect(words(planPod(stateOf(podOf(), { exists: false, record })))).toEqual(["finish"]);
  });

  test("the deadline is a verdict", () => {
    const spec = { activeDeadlineSeconds: 5 };
    expect(planOf(spec, { now: NOW + 5_000 })).toEqual(["judge"]);
    expect(planPod(stateOf(podOf(spec), { now: NOW + 4_000 })).againMs).toBe(1_000);
  });

  test("grace comes from the deletion, the verdict, the spec", () => {
    expect(graceSeconds(stateOf(gone))).toBe(30);
    expect(graceSeconds(stateOf(podOf({ terminationGracePeriodSeconds: 7 })))).toBe(7);
    const verdict = { reason: "Evicted", message: "", graceSeconds: 0 };
    expect(graceSeconds(stateOf(podOf(), { record: { verdict } }))).toBe(0);
  });
});

describe("whatever happens", () => {
  const policy = fc.constantFrom("Always", "OnFailure", "Never");
  const spec = fc.record({
    restartPolicy: policy,
    init: fc.array(fc.boolean(), { maxLength: 3 }),
    main: fc.integer({ min: 1, max: 3 }),
  });

  test("property: init containers come first, nothing runs twice, a deleted pod goes", () => {
    fc.assert(
      fc.property(spec, fc.array(fc.nat(), { minLength: 20, maxLength: 120 }), (shape, choices) => {
        simulate(shape, choices);
      }),
      tries(300),
    );
  });
});
