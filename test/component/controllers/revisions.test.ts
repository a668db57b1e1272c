/** Updates of several pods at once, sizes in the middle of one, and names that others have. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { controllerRevisions } from "#resources/kinds/controllerrevision.ts";
import { daemonSets } from "#resources/kinds/daemonset.ts";
import { deployments } from "#resources/kinds/deployment.ts";
import { pods } from "#resources/kinds/pod.ts";
import { replicaSets } from "#resources/kinds/replicaset.ts";
import { statefulSets } from "#resources/kinds/statefulset.ts";
import type { Stored } from "#resources/meta.ts";
import type { DeploymentSpec, Pod, StatefulSetSpec } from "#resources/types.gen.ts";
import { type Plane, startPlane, until } from "#test/component/controllers/plane.ts";
import { template } from "#test/support/build.ts";

const namespace = "default";
const imageOf = (pod: Pod): string => pod.spec?.containers[0]?.image ?? "";

let plane: Plane;
beforeAll(async () => {
  plane = await startPlane(["n1", "n2", "n3"], { becomesReady: (pod) => imageOf(pod) !== "bad" });
});
afterAll(() => plane.close());

const podsOf = async (app: string): Promise<Array<Stored<Pod>>> =>
  (await plane.client.list(pods, { namespace, labelSelector: `app=${app}` })).items;
const uids = async (app: string) => (await podsOf(app)).map(({ metadata }) => metadata.uid).sort();
/** Numbers of an app's revisions, all of which are this owner's; none while one is not. */
async function historyOf(app: string, uid: string): Promise<number[]> {
  const query = { namespace, labelSelector: `app=${app}` };
  const { items } = await plane.client.list(controllerRevisions, query);
  const ours = items.filter(({ metadata: { ownerReferences = [] } }) => {
    return ownerReferences.length === 1 && ownerReferences[0]?.uid === uid;
  });
  return ours.length === items.length ? ours.map(({ revision }) => revision) : [];
}
const image = (name: string) => ({
  spec: { template: { spec: { containers: [{ name: "main", image: name }] } } },
});
const body = (app: string) => ({
  selector: { matchLabels: { app } },
  template: template("one", { app }),
});
const orphaning = { propagationPolicy: "Orphan" } as const;

describe("a Deployment", () => {
  const make = (name: string, more: Partial<DeploymentSpec> = {}) =>
    plane.client.create(deployments, {
      metadata: { namespace, name },
      spec: { ...body(name), ...more },
    });
  const setsOf = async (name: string) =>
    (await plane.client.list(replicaSets, { namespace, labelSelector: `app=${name}` })).items;
  const sizes = async (name: string) =>
    Object.fromEntries(
      (await setsOf(name)).map(({ spec }) => [imageOf(spec?.template ?? {}), spec?.replicas]),
    );
  const available = (name: string, count: number) =>
    until(`${count} of ${name} are available`, async () => {
      const found = await plane.client.get(deployments, { namespace, name });
      const { status, metadata } = found ?? {};
      const seen = status?.observedGeneration === metadata?.generation;
      return seen && status?.availableReplicas === count && found;
    });

  test("that is scaled in the middle shares in proportion, and rolls on where it may", async () => {
    const rollingUpdate = { maxSurge: 3, maxUnavailable: 2 };
    await make("share", { replicas: 10, strategy: { type: "RollingUpdate", rollingUpdate } });
    await available("share", 10);
    const ref = { namespace, name: "share" };
    await plane.client.patch(deployments, ref, "strategic", image("bad"));
    const become = (one: number, bad: number) =>
      until(`${one} and ${bad}`, async () => {
        const now = await sizes("share");
        return now["one"] === one && now["bad"] === bad;
      });
    // As in kubernetes.io/docs/concepts/workloads/controllers/deployment, "Proportional scaling".
    await become(8, 5);
    await available("share", 8);
    await plane.client.patch(deployments, ref, "merge", { spec: { replicas: 15 } });
    await become(11, 7);
    await available("share", 11);
    await plane.client.patch(deployments, ref, "merge", { spec: { replicas: 5 } });
    // Two of five may be missing, and three be there beside them.
    await become(3, 5);
    await available("share", 3);
  });

  test("finds another name where its set's is taken, and counts that", async () => {
    await make("taken", { replicas: 1 });
    await available("taken", 1);
    const name = (await setsOf("taken"))[0]?.metadata.name ?? "";
    await plane.client.delete(
      deployments,
      { namespace, name: "taken" },
      { propagationPolicy: "Foreground" },
    );
    await until("it is gone", async () => {
      const found = await plane.client.get(deployments, { namespace, name: "taken" });
      return found === undefined && (await setsOf("taken")).length === 0;
    });
    await plane.client.create(replicaSets, {
      metadata: { namespace, name },
      spec: { ...body("another"), replicas: 0 },
    });
    await make("taken", { replicas: 1 });
    const { status } = await available("taken", 1);
    expect(status?.collisionCount).toBe(1);
    const [own] = await setsOf("taken");
    expect(own?.metadata.name).not.toBe(name);
    expect(own?.metadata.name).toStartWith("taken-");
  });

  test("made anew after its pods were orphaned takes them back as they are", async () => {
    await make("back", { replicas: 2 });
    await available("back", 2);
    const before = await uids("back");
    await plane.client.delete(deployments, { namespace, name: "back" }, orphaning);
    await until("it is gone", async () => {
      return (await plane.client.get(deployments, { namespace, name: "back" })) === undefined;
    });
    await make("back", { replicas: 2 });
    const { status } = await available("back", 2);
    expect([status?.collisionCount, await uids("back")]).toEqual([undefined, before]);
    expect(await setsOf("back")).toHaveLength(1);
  });
});

describe("a StatefulSet", () => {
  const make = (name: string, more: Partial<StatefulSetSpec> = {}) =>
    plane.client.create(statefulSets, {
      metadata: { namespace, name },
      spec: { ...body(name), serviceName: name, ...more },
    });
  const current = (name: string, count: number) =>
    until(`${count} of ${name} are current`, async () => {
      const found = await plane.client.get(statefulSets, { namespace, name });
      const { status, metadata } = found ?? {};
      return (
        status?.observedGeneration === metadata?.generation &&
        status?.updateRevision === status?.currentRevision &&
        status?.readyReplicas === count &&
        status?.updatedReplicas === count &&
        found
      );
    });

  test.each(["Parallel", "OrderedReady"])(
    "%s: misses as many at once as it may, and no more",
    async (podManagementPolicy) => {
      const name = podManagementPolicy.toLowerCase();
      const updateStrategy = { type: "RollingUpdate", rollingUpdate: { maxUnavailable: 2 } };
      await make(name, { replicas: 5, podManagementPolicy, updateStrategy });
      await current(name, 5);
      // Who goes is held up, so that it can be seen who goes at one time.
      const finalizers = ["example.com/hold"];
      const ref = (pod: Stored<Pod>) => ({ namespace, name: pod.metadata.name });
      for (const pod of await podsOf(name)) {
        await plane.client.patch(pods, ref(pod), "merge", { metadata: { finalizers } });
      }
      await plane.client.patch(statefulSets, { namespace, name }, "strategic", image("two"));
      const going: string[][] = [];
      while (going.flat().length < 5) {
        const wanted = Math.min(2, 5 - going.flat().length);
        const here = await until("those that go", async () => {
          // Those that were let go may still be there for a moment.
          const found = (await podsOf(name)).filter(
            ({ metadata }) => metadata.deletionTimestamp && !going.flat().includes(metadata.name),
          );
          return found.length >= wanted && found;
        });
        going.push(here.map(({ metadata }) => metadata.name).sort());
        const others = (await podsOf(name)).filter(({ metadata }) => !metadata.deletionTimestamp);
        expect(others).toHaveLength(5 - here.length);
        for (const pod of here) {
          await plane.client.patch(pods, ref(pod), "merge", { metadata: { finalizers: null } });
        }
      }
      expect(going).toEqual([
        [`${name}-3`, `${name}-4`],
        [`${name}-1`, `${name}-2`],
        [`${name}-0`],
      ]);
      await current(name, 5);
      expect((await podsOf(name)).every((pod) => imageOf(pod) === "two")).toBe(true);
    },
  );

  test("made anew after its pods were orphaned takes them and its history back", async () => {
    await make("again", { replicas: 2 });
    await current("again", 2);
    await plane.client.patch(statefulSets, { namespace, name: "again" }, "strategic", image("two"));
    await until("it rolls", async () =>
      (await podsOf("again")).every((pod) => imageOf(pod) === "two"),
    );
    await current("again", 2);
    const before = await uids("again");
    await plane.client.delete(statefulSets, { namespace, name: "again" }, orphaning);
    await until("it is gone", async () => {
      return (await plane.client.get(statefulSets, { namespace, name: "again" })) === undefined;
    });
    await make("again", {
      replicas: 2,
      ...body("again"),
      template: template("two", { app: "again" }),
    });
    const { metadata, status } = await current("again", 2);
    expect([status?.collisionCount ?? 0, await uids("again")]).toEqual([0, before]);
    await until("it has both revisions", async () => {
      const ours = await historyOf("again", metadata.uid);
      return ours.sort().join() === "1,2";
    });
  });
});

describe("a DaemonSet", () => {
  const make = (name: string) =>
    plane.client.create(daemonSets, { metadata: { namespace, name }, spec: body(name) });
  const current = (name: string) =>
    until(`${name} is everywhere`, async () => {
      const found = await plane.client.get(daemonSets, { namespace, name });
      const { status, metadata } = found ?? {};
      return (
        status?.observedGeneration === metadata?.generation &&
        status?.updatedNumberScheduled === 3 &&
        status?.numberAvailable === 3 &&
        found
      );
    });

  test("made anew after its pods were orphaned takes them and its history back", async () => {
    await make("node");
    await current("node");
    const before = await uids("node");
    await plane.client.delete(daemonSets, { namespace, name: "node" }, orphaning);
    await until("it is gone", async () => {
      return (await plane.client.get(daemonSets, { namespace, name: "node" })) === undefined;
    });
    await make("node");
    const { metadata, status } = await current("node");
    expect([status?.collisionCount ?? 0, await uids("node")]).toEqual([0, before]);
    await until("it has the revision", async () => {
      return (await historyOf("node", metadata.uid)).length === 1;
    });
  });

  test("finds another name where its revision's is taken, and counts that", async () => {
    await make("other");
    await current("other");
    const query = { namespace, labelSelector: "app=other" };
    const [revision] = (await plane.client.list(controllerRevisions, query)).items;
    await plane.client.delete(
      daemonSets,
      { namespace, name: "other" },
      { propagationPolicy: "Foreground" },
    );
    await until("all of it is gone", async () => {
      const { items } = await plane.client.list(controllerRevisions, query);
      const found = await plane.client.get(daemonSets, { namespace, name: "other" });
      return found === undefined && items.length === 0 && (await podsOf("other")).length === 0;
    });
    const { name } = revision?.metadata ?? { name: "" };
    const foreign = { metadata: { namespace, name }, data: { is: "another's" }, revision: 1 };
    await plane.client.create(controllerRevisions, foreign);
    await make("other");
    expect((await current("other")).status?.collisionCount).toBe(1);
    const kept = await plane.client.get(controllerRevisions, { namespace, name });
    expect(kept?.metadata.ownerReferences ?? []).toEqual([]);
  });
});

test("nothing was logged as going wrong", () => {
  expect(plane.lines).toEqual([]);
});
