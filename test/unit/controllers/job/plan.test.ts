import { beforeEach, describe, expect, test } from "bun:test";
import fc from "fast-check";
import { jobController as controller } from "#controllers/job/controller.ts";
import { indexesText, parseIndexes } from "#controllers/job/indexes.ts";
import { jobs } from "#resources/kinds/job.ts";
import { pods } from "#resources/kinds/pod.ts";
import { keyOf, type Stored } from "#resources/meta.ts";
import type { Job, JobSpec, Pod } from "#resources/types.gen.ts";
import { tries } from "#test/support/property.ts";
import { Refused, World } from "#test/support/world.ts";

const KEY = "x/j";
let world: World;
beforeEach(() => {
  world = new World();
});

function create(spec: Partial<JobSpec> = {}): void {
  const labels = { "batch.kubernetes.io/controller-uid": "uid-job" };
  const container = { name: "main", image: "work" };
  world.put(jobs, {
    metadata: { namespace: "x", name: "j", uid: "uid-job" },
    spec: {
      selector: { matchLabels: labels },
      template: { metadata: { labels }, spec: { restartPolicy: "Never", containers: [container] } },
      ...spec,
    },
  } satisfies Job);
}

const job = () => world.get(jobs, KEY);
const status = () => job()?.status ?? {};
const condition = (type: string) => status().conditions?.find((one) => one.type === type);
const running = () =>
  world.list(pods).filter(({ metadata, status: is }) => {
    return !metadata.deletionTimestamp && is?.phase !== "Succeeded" && is?.phase !== "Failed";
  });

function end(
  pod: Stored<Pod>,
  phase: "Succeeded" | "Failed",
  exitCode = phase === "Failed" ? 1 : 0,
) {
  const terminated = { exitCode, finishedAt: world.time() };
  const one = { name: "main", image: "", imageID: "", ready: false, restartCount: 0 };
  world.change(pods, keyOf(pod), {
    status: { phase, containerStatuses: [{ ...one, state: { terminated } }] },
  });
}

const settle = () => world.settle([controller]);
const index = (pod: Pod) => pod.metadata?.annotations?.["batch.kubernetes.io/job-completion-index"];

describe("a Job", () => {
  test("runs as many as it may at once, until enough succeeded", () => {
    create({ completions: 5, parallelism: 2 });
    settle();
    expect(running()).toHaveLength(2);
    expect(status()).toMatchObject({
      active: 2,
      ready: 0,
      terminating: 0,
      startTime: world.time(),
    });
    for (let i = 0; i < 3; i++) {
      const [first] = running();
      if (first) end(first, "Succeeded");
      settle();
      expect(running()).toHaveLength(2);
    }
    for (const pod of running()) end(pod, "Succeeded");
    settle();
    expect(running()).toHaveLength(0);
    expect(status()).toMatchObject({ succeeded: 5, completionTime: world.time() });
    expect(status().active).toBeUndefined();
    expect(condition("Complete")).toMatchObject({ status: "True", reason: "CompletionsReached" });
    expect(condition("SuccessCriteriaMet")).toMatchObject({ status: "True" });
    expect(world.events.at(-1)).toBe("Normal Completed: Job completed");
    expect(world.list(pods).every((pod) => !pod.metadata.finalizers?.length)).toBe(true);
    expect(settle()).toBe(0);
  });

  test("without completions is done when one succeeded and the rest ended", () => {
    create({ parallelism: 3 });
    world.change(jobs, KEY, { spec: { completions: null } });
    settle();
    expect(running()).toHaveLength(3);
    const [first, second, third] = running();
    if (first) end(first, "Succeeded");
    settle();
    expect(running()).toHaveLength(2);
    for (const pod of [second, third]) if (pod) end(pod, "Succeeded");
    settle();
    expect(condition("Complete")).toMatchObject({ status: "True" });
  });

  test("tries again after a growing while, and fails past its limit", () => {
    create({ backoffLimit: 2 });
    settle();
    for (const wait of [10_000, 20_000]) {
      const [pod] = running();
      if (pod) end(pod, "Failed");
      settle();
      expect(running()).toHaveLength(0);
      world.now += wait - 1000;
      settle();
      expect(running()).toHaveLength(0);
      world.now += 1000;
      settle();
      expect(running()).toHaveLength(1);
    }
    const [pod] = running();
    if (pod) end(pod, "Failed");
    settle();
    expect(status().failed).toBe(3);
    expect(condition("Failed")).toMatchObject({ reason: "BackoffLimitExceeded" });
    expect(condition("FailureTarget")).toMatchObject({ status: "True" });
    expect(status().completionTime).toBeUndefined();
  });

  test("is over after its deadline, and its pods are ended", () => {
    create({ activeDeadlineSeconds: 60, parallelism: 2, completions: 2 });
    settle();
    const state = controller.read(KEY, { caches: world.caches, now: world.now, random: () => 0 });
    expect(state && controller.plan(state, world.now).againMs).toBe(60_000);
    world.now += 60_000;
    settle();
    expect(condition("Failed")).toMatchObject({ reason: "DeadlineExceeded" });
    expect(running()).toHaveLength(0);
    expect(status().failed).toBe(2);
  });

  test("is not over before its last pod is", () => {
    create({ activeDeadlineSeconds: 60 });
    settle();
    world.gracefulPods = true;
    world.now += 60_000;
    settle();
    expect(condition("FailureTarget")).toMatchObject({ status: "True" });
    expect(condition("Failed")).toBeUndefined();
    expect(status().terminating).toBe(1);
    for (const pod of world.list(pods)) world.remove(pods, keyOf(pod));
    settle();
    expect(condition("Failed")).toMatchObject({ status: "True" });
  });

  test("suspended has no pods, and starts its clock again when it is resumed", () => {
    create({ suspend: true, activeDeadlineSeconds: 100 });
    settle();
    expect(world.list(pods)).toHaveLength(0);
    expect(condition("Suspended")).toMatchObject({ status: "True", reason: "JobSuspended" });
    expect(status().startTime).toBeUndefined();
    world.change(jobs, KEY, { spec: { suspend: false } });
    settle();
    expect(running()).toHaveLength(1);
    expect(condition("Suspended")).toMatchObject({ status: "False", reason: "JobResumed" });
    world.now += 50_000;
    world.change(jobs, KEY, { spec: { suspend: true } });
    settle();
    expect(running()).toHaveLength(0);
    expect(status().failed).toBeUndefined();
    world.change(jobs, KEY, { spec: { suspend: false } });
    settle();
    expect(status().startTime).toBe(world.time());
  });

  test("of another controller is left alone", () => {
    create({ managedBy: "x.io/queue" });
    expect(settle()).toBe(0);
  });

  test("scaled down takes pods back without counting them", () => {
    create({ completions: 4, parallelism: 4 });
    settle();
    world.change(jobs, KEY, { spec: { parallelism: 1 } });
    settle();
    expect(running()).toHaveLength(1);
    expect(status()).toMatchObject({ active: 1 });
    expect(status().failed).toBeUndefined();
  });

  test("that went and left its pods behind lets them go too", () => {
    create({ completions: 2, parallelism: 2 });
    settle();
    const labels = { "batch.kubernetes.io/job-name": "j" };
    for (const pod of world.list(pods)) {
      world.change(pods, keyOf(pod), { metadata: { ownerReferences: null, labels } });
    }
    world.remove(jobs, KEY);
    world.run(controller, KEY);
    expect(world.list(pods)).toHaveLength(2);
    expect(world.list(pods).flatMap(({ metadata }) => metadata.finalizers ?? [])).toEqual([]);
  });

  test("that is gone lets its pods go", () => {
    create();
    settle();
    world.remove(jobs, KEY);
    world.run(controller, KEY);
    expect(world.list(pods).every((pod) => !pod.metadata.finalizers?.length)).toBe(true);
  });
});

describe("counting", () => {
  test("goes on where it was cut off, and counts nothing twice", () => {
    for (let cut = 1; cut < 12; cut++) {
      world = new World();
      create({ completions: 3, parallelism: 3 });
      settle();
      for (const pod of running()) end(pod, "Succeeded");
      let left = cut;
      world.gate = () => {
        if (left-- <= 0) throw new Error("cut off");
      };
      try {
        world.run(controller, KEY);
      } catch {
        // As a crash in the middle of the writes.
      }
      world.gate = undefined;
      settle();
      expect(status().succeeded).toBe(3);
      expect(condition("Complete")).toBeDefined();
    }
  });

  test("a pod that is deleted while it runs counts as failed and is replaced", () => {
    create();
    settle();
    const [pod] = running();
    world.gracefulPods = true;
    if (pod) world.change(pods, keyOf(pod), { metadata: { deletionTimestamp: world.time() } });
    settle();
    expect(status().failed).toBe(1);
    world.now += 10_000;
    settle();
    expect(running()).toHaveLength(1);
  });

  test("a pod that ended is let go where no other one can be made", () => {
    create({ parallelism: 2, completions: 4 });
    settle();
    const [one, other] = running();
    world.gracefulPods = true;
    if (one) end(one, "Succeeded");
    world.gate = (action) => {
      if (action.do === "create") throw new Refused(action, 403, "Forbidden");
    };
    expect(settle).toThrow("not settled");
    const tracked = () => world.list(pods).filter(({ metadata }) => metadata.finalizers?.length);
    expect(tracked().map(({ metadata }) => metadata.name)).toEqual([other?.metadata.name ?? ""]);
    expect(status().active).toBe(1);
    world.gate = undefined;
    settle();
    expect(status()).toMatchObject({ active: 2, succeeded: 1 });
  });

  test("with podReplacementPolicy Failed it is replaced only when it ended", () => {
    create({ podReplacementPolicy: "Failed" });
    settle();
    const [pod] = running();
    world.gracefulPods = true;
    if (pod) world.change(pods, keyOf(pod), { metadata: { deletionTimestamp: world.time() } });
    settle();
    world.now += 60_000;
    settle();
    expect(running()).toHaveLength(0);
    expect(status()).toMatchObject({ terminating: 1 });
    if (pod) end(pod, "Failed");
    world.now += 60_000;
    settle();
    expect(running()).toHaveLength(1);
    expect(status().failed).toBe(1);
  });
});

describe("an Indexed Job", () => {
  const indexed = (more: Partial<JobSpec> = {}) =>
    create({ completionMode: "Indexed", completions: 5, parallelism: 5, ...more });

  test("gives each pod its index, by annotation, label, host name and variable", () => {
    indexed({ parallelism: 3 });
    settle();
    expect(running().map(index).sort()).toEqual(["0", "1", "2"]);
    const pod = running().find((one) => index(one) === "1");
    expect(pod?.metadata.name).toMatch(/^j-1-[a-z0-9]{5}$/);
    expect(pod?.metadata.labels?.["batch.kubernetes.io/job-completion-index"]).toBe("1");
    expect(pod?.spec?.hostname).toBe("j-1");
    expect(pod?.spec?.containers[0]?.env?.[0]).toMatchObject({ name: "JOB_COMPLETION_INDEX" });
  });

  test("counts indexes, not pods", () => {
    indexed();
    settle();
    for (const pod of running())
      if (["0", "1", "2", "4"].includes(index(pod) ?? "")) end(pod, "Succeeded");
    settle();
    expect(status()).toMatchObject({ completedIndexes: "0-2,4", succeeded: 4, active: 1 });
  });

  test("takes doubles of an index back", () => {
    indexed({ parallelism: 2 });
    settle();
    const [first] = running();
    const { uid: _, resourceVersion: __, ...metadata } = first?.metadata ?? {};
    world.put(pods, { ...first, metadata: { ...metadata, name: "double" } } as Pod);
    settle();
    expect(running().map(index).sort()).toEqual(["0", "1"]);
  });

  test("fails an index past its own limit and goes on with the others", () => {
    indexed({ completions: 3, parallelism: 3, backoffLimitPerIndex: 1, backoffLimit: 99 });
    settle();
    const failZero = () => {
      const pod = running().find((one) => index(one) === "0");
      if (pod) end(pod, "Failed");
      settle();
      return pod;
    };
    expect(failZero()?.metadata.annotations).toMatchObject({
      "batch.kubernetes.io/job-index-failure-count": "0",
    });
    expect(running().map(index).sort()).toEqual(["1", "2"]);
    world.now += 10_000;
    settle();
    expect(failZero()?.metadata.annotations).toMatchObject({
      "batch.kubernetes.io/job-index-failure-count": "1",
    });
    expect(status().failedIndexes).toBe("0");
    for (const pod of running()) end(pod, "Succeeded");
    settle();
    expect(condition("Failed")).toMatchObject({ reason: "FailedIndexes" });
    expect(status()).toMatchObject({ completedIndexes: "1,2", failed: 2 });
  });

  test("succeeds by its success policy, and the other pods are ended", () => {
    indexed({ successPolicy: { rules: [{ succeededIndexes: "0-2", succeededCount: 2 }] } });
    settle();
    for (const pod of running()) if (["1", "2"].includes(index(pod) ?? "")) end(pod, "Succeeded");
    settle();
    expect(condition("Complete")).toMatchObject({ reason: "SuccessPolicy" });
    expect(condition("SuccessCriteriaMet")?.message).toBe("Matched rules at index 0");
    expect(running()).toHaveLength(0);
    expect(status().failed).toBeUndefined();
  });
});

describe("the pod failure policy", () => {
  const rules = [
    { action: "FailJob", onExitCodes: { operator: "In", values: [42] } },
    { action: "Ignore", onPodConditions: [{ type: "DisruptionTarget", status: "True" }] },
  ];

  test("fails the Job for an exit code that no retry can mend", () => {
    create({ podFailurePolicy: { rules }, parallelism: 2, completions: 2 });
    settle();
    const [pod] = running();
    if (pod) end(pod, "Failed", 42);
    settle();
    expect(condition("Failed")).toMatchObject({ reason: "PodFailurePolicy" });
    expect(condition("Failed")?.message).toBe(
      `Container main for pod x/${pod?.metadata.name} failed with exit code 42 ` +
        "matching FailJob rule at index 0",
    );
    expect(running()).toHaveLength(0);
  });

  test("does not count what it is told to ignore", () => {
    create({ podFailurePolicy: { rules }, backoffLimit: 0 });
    settle();
    const [pod] = running();
    if (pod) {
      end(pod, "Failed");
      const conditions = [{ type: "DisruptionTarget", status: "True" }];
      world.change(pods, keyOf(pod), { status: { conditions } });
    }
    settle();
    world.now += 60_000;
    settle();
    expect(running()).toHaveLength(1);
    expect(status().failed).toBeUndefined();
  });
});

test("indexes as texts", () => {
  for (const text of ["", "0", "0,1", "0-2", "1,3-5,7,8,10"]) {
    expect(indexesText(parseIndexes(text, 100))).toBe(text);
  }
  expect([...parseIndexes("3-9,x,1-", 5)]).toEqual([3, 4]);
});

test("property: whatever fails, a Job ends, and counts each end once", () => {
  const scenario = fc.record({
    completions: fc.integer({ min: 1, max: 6 }),
    parallelism: fc.integer({ min: 1, max: 6 }),
    backoffLimit: fc.integer({ min: 0, max: 4 }),
    indexed: fc.boolean(),
    ends: fc.infiniteStream(fc.boolean()),
  });
  fc.assert(
    fc.property(scenario, ({ completions, parallelism, backoffLimit, indexed, ends }) => {
      world = new World();
      const completionMode = indexed ? "Indexed" : "NonIndexed";
      create({ completions, parallelism, backoffLimit, completionMode });
      let good = 0;
      for (let step = 0; step < 60; step++) {
        settle();
        expect(running().length).toBeLessThanOrEqual(Math.min(parallelism, completions));
        const [pod] = running();
        if (pod !== undefined) {
          const succeeds = ends.next().value ?? true;
          good += Number(succeeds);
          end(pod, succeeds ? "Succeeded" : "Failed");
        }
        world.now += 600_000;
      }
      settle();
      const done = condition("Complete") !== undefined;
      expect(done || condition("Failed") !== undefined).toBe(true);
      expect(status().succeeded ?? 0).toBe(good);
      if (done) expect(good).toBe(completions);
      else expect(status().failed ?? 0).toBeGreaterThan(backoffLimit);
      expect(world.list(pods).every((one) => !one.metadata.finalizers?.length)).toBe(true);
    }),
    tries(60),
  );
});
