/** Jobs in all their ways on the real API: indexes, policies of failure and success, pauses. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { jobs } from "#resources/kinds/job.ts";
import { pods } from "#resources/kinds/pod.ts";
import type { Stored } from "#resources/meta.ts";
import type { Job, JobSpec, Pod } from "#resources/types.gen.ts";
import { type Plane, startShiftedPlane, until } from "#test/component/controllers/plane.ts";
import type { ShiftClock } from "#test/support/shiftclock.ts";

/** Longer than the wait before a first retry. */
const RETRY_MS = 11_000;

let plane: Plane;
let clock: ShiftClock;
beforeAll(async () => {
  ({ plane, clock } = await startShiftedPlane(["n1", "n2"]));
});
afterAll(() => plane.close());

const namespace = "default";
const INDEX = "batch.kubernetes.io/job-completion-index";

async function create(name: string, spec: Omit<JobSpec, "template">): Promise<Stored<Job>> {
  return plane.client.create(jobs, {
    metadata: { namespace, name },
    spec: {
      ...spec,
      template: {
        spec: { containers: [{ name: "main", image: "i" }], restartPolicy: "Never" },
      },
    },
  });
}
const job = (name: string) => plane.client.get(jobs, { namespace, name });
const podsOf = async (name: string): Promise<Array<Stored<Pod>>> =>
  (await plane.client.list(pods, { namespace, labelSelector: `job-name=${name}` })).items;
const indexOf = ({ metadata }: Stored<Pod>) => metadata.annotations?.[INDEX] ?? "";

/** As many of its pods as are wanted, running. */
const running = (name: string, count: number) =>
  until(`${count} pods of ${name} run`, async () => {
    const found = (await podsOf(name)).filter(
      ({ metadata, status }) => !metadata.deletionTimestamp && status?.phase === "Running",
    );
    return found.length === count && found;
  });

/** The pod's container ends with that code. */
async function end(pod: Stored<Pod>, exitCode: number): Promise<void> {
  const at = new Date().toISOString().replace(/\.\d+/, "");
  const terminated = { exitCode, startedAt: at, finishedAt: at };
  const one = { name: "main", image: "i", imageID: "", ready: false, restartCount: 0 };
  const phase = exitCode === 0 ? "Succeeded" : "Failed";
  const status = { phase, containerStatuses: [{ ...one, state: { terminated } }] };
  const ref = { namespace, name: pod.metadata.name };
  await plane.client.patch(pods, ref, "merge", { status }, { subresource: "status" });
}

/** The Job's end, when all of it is told. */
const over = (name: string, type: "Complete" | "Failed") =>
  until(`${name} is ${type}`, async () => {
    const { status } = (await job(name)) ?? {};
    const condition = status?.conditions?.find((one) => one.type === type);
    return condition?.status === "True" && status && { status, reason: condition.reason };
  });

/** No pod of a Job that is over holds on to it, and none runs on. */
async function letGo(name: string): Promise<void> {
  await until(`${name} lets its pods go`, async () =>
    (await podsOf(name)).every(
      ({ metadata, status }) => !metadata.finalizers?.length && status?.phase !== "Running",
    ),
  );
}

describe("an Indexed Job", () => {
  test("gives each pod its place, and fails for the index that failed alone", async () => {
    await create("places", {
      completionMode: "Indexed",
      completions: 3,
      parallelism: 3,
      backoffLimitPerIndex: 0,
    });
    const found = await running("places", 3);
    expect(found.map(indexOf).sort()).toEqual(["0", "1", "2"]);
    for (const pod of found) {
      expect(pod.metadata.name).toStartWith(`places-${indexOf(pod)}-`);
      expect(pod.metadata.labels?.[INDEX]).toBe(indexOf(pod));
      expect(pod.spec?.hostname).toBe(`places-${indexOf(pod)}`);
      const variable = pod.spec?.containers[0]?.env?.find(({ name }) => name.startsWith("JOB_"));
      expect(variable?.name).toBe("JOB_COMPLETION_INDEX");
    }
    for (const pod of found) await end(pod, indexOf(pod) === "1" ? 3 : 0);
    const { status, reason } = await over("places", "Failed");
    expect(reason).toBe("FailedIndexes");
    expect(status).toMatchObject({
      succeeded: 2,
      failed: 1,
      completedIndexes: "0,2",
      failedIndexes: "1",
    });
    await letGo("places");
  });

  test("is enough when its success policy says so", async () => {
    await create("enough", {
      completionMode: "Indexed",
      completions: 3,
      parallelism: 3,
      successPolicy: { rules: [{ succeededIndexes: "0-1", succeededCount: 1 }] },
    });
    const found = await running("enough", 3);
    const second = found.find((pod) => indexOf(pod) === "1");
    if (second) await end(second, 0);
    const { status, reason } = await over("enough", "Complete");
    expect([reason, status.succeeded, status.completedIndexes]).toEqual(["SuccessPolicy", 1, "1"]);
    await letGo("enough");
  });

  test("grows and shrinks with the number of its places", async () => {
    await create("elastic", { completionMode: "Indexed", completions: 2, parallelism: 2 });
    await running("elastic", 2);
    const ref = { namespace, name: "elastic" };
    await plane.client.patch(jobs, ref, "merge", { spec: { completions: 4, parallelism: 4 } });
    expect((await running("elastic", 4)).map(indexOf).sort()).toEqual(["0", "1", "2", "3"]);
    await plane.client.patch(jobs, ref, "merge", { spec: { completions: 1, parallelism: 1 } });
    const [last] = await running("elastic", 1);
    expect(last && indexOf(last)).toBe("0");
    if (last) await end(last, 0);
    expect((await over("elastic", "Complete")).status.succeeded).toBe(1);
    // The number of its places is that of its work at a time, or it is fixed.
    const fixed = plane.client.patch(jobs, ref, "merge", { spec: { completions: 3 } });
    expect(await fixed.catch((error: Error) => error.message)).toContain("spec.completions");
  });
});

describe("a failure", () => {
  test("that no retry can mend ends the Job and the pods beside it", async () => {
    await create("broken", {
      completions: 2,
      parallelism: 2,
      podFailurePolicy: {
        rules: [
          {
            action: "FailJob",
            onExitCodes: { containerName: "main", operator: "In", values: [42] },
          },
        ],
      },
    });
    const [first] = await running("broken", 2);
    if (first) await end(first, 42);
    const { status, reason } = await over("broken", "Failed");
    expect([reason, status.failed, status.active ?? 0]).toEqual(["PodFailurePolicy", 2, 0]);
    expect(status.conditions?.map(({ type }) => type)).toContain("FailureTarget");
    await letGo("broken");
  });

  test("that is not the program's is not counted", async () => {
    await create("unlucky", {
      backoffLimit: 0,
      podFailurePolicy: {
        rules: [
          { action: "Ignore", onPodConditions: [{ type: "DisruptionTarget", status: "True" }] },
        ],
      },
    });
    const [first] = await running("unlucky", 1);
    const ref = { namespace, name: first?.metadata.name ?? "" };
    const target = { type: "DisruptionTarget", status: "True", reason: "Test" };
    const status = { phase: "Failed", conditions: [target] };
    await plane.client.patch(pods, ref, "merge", { status }, { subresource: "status" });
    await until("the pod is let go", async () =>
      (await podsOf("unlucky")).every(({ metadata }) => !metadata.finalizers?.length),
    );
    // A retry comes after a while.
    const { status: told } = (await job("unlucky")) ?? {};
    expect([told?.failed ?? 0, told?.conditions ?? []]).toEqual([0, []]);
  });

  test("is the last where no retry is left", async () => {
    await create("once", { backoffLimit: 0 });
    const [first] = await running("once", 1);
    if (first) await end(first, 1);
    const { status, reason } = await over("once", "Failed");
    expect([reason, status.failed]).toEqual(["BackoffLimitExceeded", 1]);
    expect(await podsOf("once")).toHaveLength(1);
  });

  test("to end in time ends it", async () => {
    await create("late", { activeDeadlineSeconds: 1, parallelism: 2, completions: 2 });
    expect((await over("late", "Failed")).reason).toBe("DeadlineExceeded");
    await letGo("late");
  });
});

describe("a pod that goes", () => {
  const HOLD = "example.com/hold";
  /** One that runs, and is held where it goes. */
  async function going(name: string, spec: Omit<JobSpec, "template"> = {}) {
    await create(name, spec);
    const [pod] = await running(name, 1);
    const ref = { namespace, name: pod?.metadata.name ?? "" };
    const finalizers = [...(pod?.metadata.finalizers ?? []), HOLD];
    await plane.client.patch(pods, ref, "merge", { metadata: { finalizers } });
    await plane.client.delete(pods, ref);
    return { ref, uid: pod?.metadata.uid };
  }
  const letGoOf = (ref: { namespace: string; name: string }) =>
    plane.client.patch(pods, ref, "merge", { metadata: { finalizers: null } });
  const told = (name: string, wanted: object) =>
    until(`${name} tells ${JSON.stringify(wanted)}`, async () => {
      const { active = 0, terminating = 0, failed = 0 } = (await job(name))?.status ?? {};
      return Bun.deepEquals({ active, terminating, failed }, wanted);
    });

  test("is replaced at once where the policy does not wait for its end", async () => {
    const { ref, uid } = await going("hasty", { podReplacementPolicy: "TerminatingOrFailed" });
    await told("hasty", { active: 0, terminating: 1, failed: 1 });
    clock.shift(RETRY_MS);
    const [next] = await running("hasty", 1);
    expect(next?.metadata.uid).not.toBe(uid);
    await told("hasty", { active: 1, terminating: 1, failed: 1 });
    await letGoOf(ref);
    await told("hasty", { active: 1, terminating: 0, failed: 1 });
  });

  test.each<[string, Omit<JobSpec, "template">]>([
    ["patient", { podReplacementPolicy: "Failed" }],
    [
      "default",
      {
        podFailurePolicy: {
          rules: [{ action: "Count", onExitCodes: { operator: "In", values: [7] } }],
        },
      },
    ],
  ])(
    "is replaced when it has failed, under Failed: %s",
    async (name, spec) => {
      const { ref, uid } = await going(name, { ...spec, backoffLimit: 3 });
      expect((await job(name))?.spec?.podReplacementPolicy).toBe("Failed");
      await told(name, { active: 0, terminating: 1, failed: 0 });
      // Nor when the wait before a retry is over, and all that is due is done.
      clock.shift(RETRY_MS);
      await create(`after-${name}`, {});
      await running(`after-${name}`, 1);
      await told(name, { active: 0, terminating: 1, failed: 0 });
      expect((await podsOf(name)).map(({ metadata }) => metadata.uid)).toEqual([uid ?? ""]);
      const status = { phase: "Failed" };
      await plane.client.patch(pods, ref, "merge", { status }, { subresource: "status" });
      const next = await running(name, 1);
      await told(name, { active: 1, terminating: 0, failed: 1 });
      await letGoOf(ref);
      if (next[0]) await end(next[0], 0);
      expect((await over(name, "Complete")).status).toMatchObject({ succeeded: 1, failed: 1 });
    },
    60_000,
  );
});

describe("a Job", () => {
  test("that is held has no pods; let go it has them, and held again it loses them", async () => {
    await create("held", { suspend: true, parallelism: 2, completions: 2 });
    const suspended = (status: string) =>
      until(`Suspended is ${status}`, async () => {
        const found = await job("held");
        const condition = found?.status?.conditions?.find(({ type }) => type === "Suspended");
        return condition?.status === status && found;
      });
    expect((await suspended("True")).status?.startTime).toBeUndefined();
    expect(await podsOf("held")).toEqual([]);
    const ref = { namespace, name: "held" };
    await plane.client.patch(jobs, ref, "merge", { spec: { suspend: false } });
    await running("held", 2);
    expect((await suspended("False")).status?.startTime).toBeDefined();
    await plane.client.patch(jobs, ref, "merge", { spec: { suspend: true } });
    await until("its pods are gone", async () => (await podsOf("held")).length === 0);
    const { status } = await suspended("True");
    expect([status?.active ?? 0, status?.failed ?? 0]).toEqual([0, 0]);
  });

  test("of another manager is left to it", async () => {
    await create("theirs", { managedBy: "example.com/queue" });
    // What comes after it is done.
    await create("ours", {});
    await running("ours", 1);
    expect(await podsOf("theirs")).toEqual([]);
    expect((await job("theirs"))?.status).toEqual({});
  });
});

test("nothing was logged as going wrong", () => {
  expect(plane.lines).toEqual([]);
});
