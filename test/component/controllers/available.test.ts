/** Pods that have to be ready for a while before they count, on the real API and the real time. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import type { Kind } from "#resources/kind.ts";
import { daemonSets } from "#resources/kinds/daemonset.ts";
import { deployments } from "#resources/kinds/deployment.ts";
import { pods } from "#resources/kinds/pod.ts";
import { replicaSets } from "#resources/kinds/replicaset.ts";
import { replicationControllers } from "#resources/kinds/replicationcontroller.ts";
import { statefulSets } from "#resources/kinds/statefulset.ts";
import type { ApiObject, Stored } from "#resources/meta.ts";
import type { Pod } from "#resources/types.gen.ts";
import { type Plane, startShiftedPlane, until } from "#test/component/controllers/plane.ts";
import { template } from "#test/support/build.ts";
import type { ShiftClock } from "#test/support/shiftclock.ts";

const namespace = "default";
const MIN_READY_SECONDS = 600;

let plane: Plane;
let clock: ShiftClock;
beforeAll(async () => {
  ({ plane, clock } = await startShiftedPlane(["n1", "n2"]));
});
afterAll(() => plane.close());

interface Counts {
  observedGeneration?: number;
  replicas?: number;
  readyReplicas?: number;
  availableReplicas?: number;
  numberReady?: number;
  numberAvailable?: number;
}

const statusOf = async (kind: Kind, name: string): Promise<Counts> => {
  const found = await plane.client.get<ApiObject & { status?: Counts }>(kind as Kind, {
    namespace,
    name,
  });
  return found?.status ?? {};
};
const countsOf = async (kind: Kind, name: string) => {
  const { readyReplicas, numberReady, availableReplicas, numberAvailable } = await statusOf(
    kind,
    name,
  );
  return [readyReplicas ?? numberReady ?? 0, availableReplicas ?? numberAvailable ?? 0];
};
const counts = (kind: Kind, name: string, ready: number, available: number) =>
  until(`${ready} ready, ${available} available of ${kind.kind} ${name}`, async () => {
    return (await countsOf(kind, name)).join() === [ready, available].join();
  });
const podsOf = async (app: string): Promise<Array<Stored<Pod>>> =>
  (await plane.client.list(pods, { namespace, labelSelector: `app=${app}` })).items;

const spec = (app: string, replicas: number) => ({
  replicas,
  minReadySeconds: MIN_READY_SECONDS,
  selector: { matchLabels: { app } },
  template: template("one", { app }),
});
const image = { spec: { template: { spec: { containers: [{ name: "main", image: "two" }] } } } };
const isTwo = (pod: Pod) => pod.spec?.containers[0]?.image === "two";

/** The time by which they count passes, and nothing else happens. */
const pass = () => clock.shift((MIN_READY_SECONDS + 1) * 1000);

/** What was written and what woke it has come to its end. */
async function settled(): Promise<void> {
  const name = `settled-${crypto.randomUUID().slice(0, 8)}`;
  const spec = { selector: { matchLabels: { app: name } }, template: template("i", { app: name }) };
  await plane.client.create(replicaSets, { metadata: { namespace, name }, spec });
  await counts(replicaSets, name, 1, 1);
  await plane.client.delete(replicaSets, { namespace, name });
}

test("a ReplicaSet and a ReplicationController count them when the time is over", async () => {
  const { selector: _, ...rest } = spec("old", 2);
  await plane.client.create(replicaSets, {
    metadata: { namespace, name: "rs" },
    spec: spec("rs", 2),
  });
  await plane.client.create(replicationControllers, {
    metadata: { namespace, name: "old" },
    spec: { ...rest, selector: { app: "old" } },
  });
  await counts(replicaSets, "rs", 2, 0);
  await counts(replicationControllers, "old", 2, 0);
  await settled();
  expect(await countsOf(replicaSets, "rs")).toEqual([2, 0]);
  pass();
  await counts(replicaSets, "rs", 2, 2);
  await counts(replicationControllers, "old", 2, 2);
});

test("a Deployment takes nothing old away before, and is not complete", async () => {
  const ref = { namespace, name: "web" };
  const strategy = { type: "RollingUpdate", rollingUpdate: { maxSurge: 1, maxUnavailable: 0 } };
  const progressDeadlineSeconds = 10 * MIN_READY_SECONDS;
  await plane.client.create(deployments, {
    metadata: ref,
    spec: { ...spec("web", 2), strategy, progressDeadlineSeconds },
  });
  await counts(deployments, "web", 2, 0);
  const available = async () => {
    const { status } = (await plane.client.get(deployments, ref)) ?? {};
    return status?.conditions?.find(({ type }) => type === "Available")?.status;
  };
  expect(await available()).toBe("False");
  pass();
  await counts(deployments, "web", 2, 2);
  expect(await available()).toBe("True");
  await plane.client.patch(deployments, ref, "strategic", image);
  await counts(deployments, "web", 3, 2);
  await settled();
  expect((await podsOf("web")).map(isTwo).sort()).toEqual([false, false, true]);
  pass();
  await until("the next one", async () => (await podsOf("web")).filter(isTwo).length === 2);
  await counts(deployments, "web", 3, 2);
  pass();
  await until("the last old one goes", async () => (await podsOf("web")).every(isTwo));
  await counts(deployments, "web", 2, 2);
});

test("a DaemonSet goes on to the next node when the time is over", async () => {
  const { replicas: _, ...rest } = spec("agent", 2);
  const ref = { namespace, name: "agent" };
  await plane.client.create(daemonSets, { metadata: ref, spec: rest });
  await counts(daemonSets, "agent", 2, 0);
  expect((await statusOf(daemonSets, "agent")).numberReady).toBe(2);
  pass();
  await counts(daemonSets, "agent", 2, 2);
  await plane.client.patch(daemonSets, ref, "strategic", image);
  await until("one is new", async () => (await podsOf("agent")).filter(isTwo).length === 1);
  await counts(daemonSets, "agent", 2, 1);
  await settled();
  expect((await podsOf("agent")).filter(isTwo)).toHaveLength(1);
  pass();
  await until("both are new", async () => (await podsOf("agent")).filter(isTwo).length === 2);
  await counts(daemonSets, "agent", 2, 1);
  pass();
  await counts(daemonSets, "agent", 2, 2);
});

test("a StatefulSet starts and rolls one after the other, each after its time", async () => {
  const ref = { namespace, name: "db" };
  await plane.client.create(statefulSets, {
    metadata: ref,
    spec: { ...spec("db", 2), serviceName: "db" },
  });
  await counts(statefulSets, "db", 1, 0);
  await settled();
  expect((await podsOf("db")).map(({ metadata }) => metadata.name)).toEqual(["db-0"]);
  pass();
  await counts(statefulSets, "db", 2, 1);
  pass();
  await counts(statefulSets, "db", 2, 2);
  await plane.client.patch(statefulSets, ref, "strategic", image);
  await until("db-1 is new", async () => (await podsOf("db")).some(isTwo));
  await counts(statefulSets, "db", 2, 1);
  await settled();
  const now = async () => (await podsOf("db")).filter(isTwo).map(({ metadata }) => metadata.name);
  expect(await now()).toEqual(["db-1"]);
  pass();
  await until("db-0 is new", async () => (await now()).length === 2);
  await counts(statefulSets, "db", 2, 1);
  // The first is not there long enough: the last does not go yet.
  await plane.client.patch(statefulSets, ref, "merge", { spec: { replicas: 1 } });
  await until("it is seen", async () => {
    const found = await plane.client.get(statefulSets, ref);
    return found?.status?.observedGeneration === found?.metadata.generation;
  });
  pass();
  await until("one is left", async () => (await podsOf("db")).length === 1);
  await counts(statefulSets, "db", 1, 1);
});

test("nothing was logged as going wrong", () => {
  expect(plane.lines).toEqual([]);
});
