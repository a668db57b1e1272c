/** Rollouts as they go, step by step, on the real API: what there is at every moment. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { daemonSets } from "#resources/kinds/daemonset.ts";
import { deployments } from "#resources/kinds/deployment.ts";
import { persistentVolumeClaims } from "#resources/kinds/persistentvolumeclaim.ts";
import { pods } from "#resources/kinds/pod.ts";
import { replicaSets } from "#resources/kinds/replicaset.ts";
import { statefulSets } from "#resources/kinds/statefulset.ts";
import type { Stored } from "#resources/meta.ts";
import type {
  DaemonSetSpec,
  DeploymentSpec,
  Pod,
  PodTemplateSpec,
  StatefulSetSpec,
} from "#resources/types.gen.ts";
import { type Plane, startPlane, until } from "#test/component/controllers/plane.ts";
import { template } from "#test/support/build.ts";

const namespace = "default";
const imageOf = (pod: Pod | PodTemplateSpec): string => pod.spec?.containers[0]?.image ?? "";

let plane: Plane;
beforeAll(async () => {
  plane = await startPlane(["n1", "n2", "n3"], {
    becomesReady: (pod) => imageOf(pod) !== "bad",
    startMs: 20,
  });
});
afterAll(() => plane.close());

const podsOf = async (app: string): Promise<Array<Stored<Pod>>> =>
  (await plane.client.list(pods, { namespace, labelSelector: `app=${app}` })).items;
const images = async (app: string) => (await podsOf(app)).map(imageOf).sort();
const image = (name: string) => ({
  spec: { template: { spec: { containers: [{ name: "main", image: name }] } } },
});

interface Moment {
  /** Of pods that nobody asked to end. */
  readonly staying: number;
  readonly ready: number;
  /** Of all pods that are there. */
  readonly images: ReadonlySet<string>;
}

/** Every state that its pods went through, from now until `end` is called. */
async function moments(app: string): Promise<{ end(): Promise<Moment[]> }> {
  const path = `/api/v1/namespaces/${namespace}/pods?watch=1&labelSelector=app%3D${app}`;
  const watch = await plane.test.watch(path);
  const seen = (async () => {
    const now = new Map<string, Stored<Pod>>();
    const all: Moment[] = [];
    for (let event = await watch.next(); event !== undefined; event = await watch.next()) {
      if (event.object.metadata.labels?.["last"] !== undefined) return all;
      if (event.type === "DELETED") now.delete(event.object.metadata.name);
      else now.set(event.object.metadata.name, event.object);
      const list = [...now.values()];
      const staying = list.filter(({ metadata }) => metadata.deletionTimestamp === undefined);
      const ready = staying.filter(({ status }) =>
        status?.conditions?.some(({ type, status: is }) => type === "Ready" && is === "True"),
      );
      all.push({
        staying: staying.length,
        ready: ready.length,
        images: new Set(list.map(imageOf)),
      });
    }
    return all;
  })();
  return {
    async end() {
      // After its events come those that were written later.
      const last = { namespace, name: `last-${app}`, labels: { app, last: "yes" } };
      const spec = { containers: [{ name: "main", image: "last" }], schedulerName: "none" };
      await plane.client.create(pods, { metadata: last, spec });
      const all = await seen;
      watch.end();
      await plane.client.delete(pods, last, { gracePeriodSeconds: 0 });
      return all;
    },
  };
}

describe("a Deployment", () => {
  const make = (name: string, more: Partial<DeploymentSpec> = {}) =>
    plane.client.create(deployments, {
      metadata: { namespace, name },
      spec: {
        replicas: 4,
        selector: { matchLabels: { app: name } },
        template: template("one", { app: name }),
        ...more,
      },
    });
  const change = (name: string, body: object) =>
    plane.client.patch(deployments, { namespace, name }, "strategic", body);
  const complete = (name: string, replicas: number) =>
    until(`${name} has ${replicas}`, async () => {
      const found = await plane.client.get(deployments, { namespace, name });
      const { status, metadata } = found ?? {};
      return (
        status?.observedGeneration === metadata?.generation &&
        status?.replicas === replicas &&
        status?.updatedReplicas === replicas &&
        status?.availableReplicas === replicas &&
        found
      );
    });
  const setsOf = async (name: string) =>
    (await plane.client.list(replicaSets, { namespace, labelSelector: `app=${name}` })).items;

  test("rolls within its surge and its gap at every moment", async () => {
    const rollingUpdate = { maxSurge: 1, maxUnavailable: 1 };
    await make("roll", { strategy: { type: "RollingUpdate", rollingUpdate } });
    await complete("roll", 4);
    const watch = await moments("roll");
    await change("roll", image("two"));
    await complete("roll", 4);
    await until("the old are gone", async () => (await images("roll")).every((i) => i === "two"));
    const seen = (await watch.end()).slice(4);
    expect(Math.max(...seen.map(({ staying }) => staying))).toBeLessThanOrEqual(5);
    expect(Math.min(...seen.map(({ ready }) => ready))).toBeGreaterThanOrEqual(3);
  });

  test("that recreates has nothing old beside anything new", async () => {
    await make("again", { strategy: { type: "Recreate" } });
    await complete("again", 4);
    const watch = await moments("again");
    await change("again", image("two"));
    await complete("again", 4);
    const seen = await watch.end();
    expect(seen.at(-1)?.images).toEqual(new Set(["two"]));
    expect(seen.filter((one) => one.images.size > 1)).toEqual([]);
  });

  test("that is stuck says so after its time, keeps what works, and can be mended", async () => {
    await make("stuck", { progressDeadlineSeconds: 1, replicas: 2 });
    await complete("stuck", 2);
    await change("stuck", image("bad"));
    const progress = (reason: string) =>
      until(reason, async () => {
        const found = await plane.client.get(deployments, { namespace, name: "stuck" });
        const condition = found?.status?.conditions?.find(({ type }) => type === "Progressing");
        return condition?.reason === reason && found;
      });
    const { status } = await progress("ProgressDeadlineExceeded");
    expect(status?.conditions?.find(({ type }) => type === "Progressing")?.status).toBe("False");
    expect([status?.availableReplicas, await images("stuck")]).toEqual([2, ["bad", "one", "one"]]);
    await change("stuck", image("three"));
    await progress("NewReplicaSetAvailable");
    await complete("stuck", 2);
  });

  test("that is paused is scaled and not rolled; it rolls when it goes on", async () => {
    await make("pause", { replicas: 2 });
    await complete("pause", 2);
    await change("pause", { spec: { paused: true, ...image("two").spec } });
    await change("pause", { spec: { replicas: 3 } });
    await until("three pods", async () => (await images("pause")).length === 3);
    expect([await images("pause"), (await setsOf("pause")).length]).toEqual([
      ["one", "one", "one"],
      1,
    ]);
    await change("pause", { spec: { paused: false } });
    await complete("pause", 3);
    expect(new Set(await images("pause"))).toEqual(new Set(["two"]));
  });

  test("that is paused in the middle stays there until it goes on", async () => {
    await make("middle", { replicas: 2 });
    await complete("middle", 2);
    await change("middle", image("bad"));
    const middle = ["bad", "one", "one"];
    await until("the middle", async () => (await images("middle")).join() === middle.join());
    await change("middle", { spec: { paused: true } });
    // Its node says what it has to say once: before that is too early.
    const late = await until("the new pod runs", async () =>
      (await podsOf("middle")).find(
        (pod) => imageOf(pod) === "bad" && pod.status?.phase === "Running",
      ),
    );
    const ref = { namespace, name: late.metadata.name };
    const status = { conditions: [{ type: "Ready", status: "True" }] };
    await plane.client.patch(pods, ref, "merge", { status }, { subresource: "status" });
    await until("it is known to be ready", async () => {
      const found = await plane.client.get(deployments, { namespace, name: "middle" });
      return found?.status?.availableReplicas === 3;
    });
    await make("settles", { replicas: 1 });
    await complete("settles", 1);
    expect(await images("middle")).toEqual(middle);
    await change("middle", { spec: { paused: false, ...image("two").spec } });
    await complete("middle", 2);
  });

  test("keeps as many old sets as it says", async () => {
    await make("short", { replicas: 1, revisionHistoryLimit: 1 });
    for (const name of ["two", "three", "four"]) {
      await complete("short", 1);
      await change("short", image(name));
    }
    await complete("short", 1);
    await until("one old set is left", async () => (await setsOf("short")).length === 2);
    const kept = (await setsOf("short")).map(({ spec }) => imageOf(spec?.template ?? {}));
    expect(kept.sort()).toEqual(["four", "three"]);
  });
});

describe("a StatefulSet", () => {
  const claim = {
    metadata: { name: "data" },
    spec: { accessModes: ["ReadWriteOnce"], resources: { requests: { storage: "1Gi" } } },
  };
  const make = (name: string, more: Partial<StatefulSetSpec> = {}) =>
    plane.client.create(statefulSets, {
      metadata: { namespace, name },
      spec: {
        replicas: 3,
        serviceName: name,
        selector: { matchLabels: { app: name } },
        template: template("one", { app: name }),
        ...more,
      },
    });
  const ready = (name: string, count: number) =>
    until(`${count} of ${name} are ready`, async () => {
      const found = await plane.client.get(statefulSets, { namespace, name });
      const { status, metadata } = found ?? {};
      return (
        status?.observedGeneration === metadata?.generation &&
        status?.readyReplicas === count &&
        status?.replicas === count &&
        found
      );
    });
  const byName = async (app: string) =>
    Object.fromEntries((await podsOf(app)).map((pod) => [pod.metadata.name, imageOf(pod)]));
  const change = (name: string, body: object) =>
    plane.client.patch(statefulSets, { namespace, name }, "strategic", body);
  const claims = async () =>
    (await plane.client.list(persistentVolumeClaims, { namespace })).items
      .map(({ metadata }) => metadata.name)
      .sort();

  test("rolls down to its partition, and the rest when that is taken away", async () => {
    const updateStrategy = { type: "RollingUpdate", rollingUpdate: { partition: 2 } };
    await make("part", { updateStrategy, podManagementPolicy: "Parallel" });
    await ready("part", 3);
    const second = async () => await plane.client.get(pods, { namespace, name: "part-1" });
    const uid = (await second())?.metadata.uid;
    await change("part", image("two"));
    const half = { "part-0": "one", "part-1": "one", "part-2": "two" };
    await until("the last rolls", async () => (await byName("part"))["part-2"] === "two");
    const { status } = await ready("part", 3);
    expect(await byName("part")).toEqual(half);
    expect(status?.currentRevision).not.toBe(status?.updateRevision);
    // One below it that goes comes back as it was.
    await plane.client.delete(pods, { namespace, name: "part-0" });
    await until("part-0 is back", async () => {
      const found = await plane.client.get(pods, { namespace, name: "part-0" });
      return found?.status?.phase === "Running" && found.metadata.deletionTimestamp === undefined;
    });
    expect(await byName("part")).toEqual(half);
    expect((await second())?.metadata.uid).toBe(uid);
    await change("part", { spec: { updateStrategy: { rollingUpdate: { partition: 0 } } } });
    await until("all roll", async () =>
      Object.values(await byName("part")).every((name) => name === "two"),
    );
  });

  test("begins where it says, and lets its claims go as it says", async () => {
    await make("keep", {
      ordinals: { start: 5 },
      volumeClaimTemplates: [claim],
      persistentVolumeClaimRetentionPolicy: { whenScaled: "Delete", whenDeleted: "Retain" },
    });
    await ready("keep", 3);
    expect(await claims()).toEqual(["data-keep-5", "data-keep-6", "data-keep-7"]);
    await change("keep", { spec: { replicas: 1 } });
    await until("two claims go", async () => (await claims()).length === 1);
    expect(await claims()).toEqual(["data-keep-5"]);
    const policy = { whenScaled: "Retain", whenDeleted: "Delete" };
    await change("keep", { spec: { persistentVolumeClaimRetentionPolicy: policy } });
    await until("the claim is the set's", async () => {
      const ref = { namespace, name: "data-keep-5" };
      const found = await plane.client.get(persistentVolumeClaims, ref);
      return found?.metadata.ownerReferences?.some(({ kind }) => kind === "StatefulSet");
    });
    await plane.client.delete(statefulSets, { namespace, name: "keep" });
    await until("the last claim goes", async () => (await claims()).length === 0);
  });

  test("OnDelete leaves its pods to the user", async () => {
    await make("hand", { updateStrategy: { type: "OnDelete" }, replicas: 2 });
    await ready("hand", 2);
    await change("hand", image("two"));
    await until("the revision is there", async () => {
      const { status } = (await plane.client.get(statefulSets, { namespace, name: "hand" })) ?? {};
      return status?.updateRevision !== status?.currentRevision;
    });
    await plane.client.delete(pods, { namespace, name: "hand-1" });
    await until("hand-1 is new", async () => (await byName("hand"))["hand-1"] === "two");
    expect((await byName("hand"))["hand-0"]).toBe("one");
  });
});

describe("a DaemonSet", () => {
  const make = (name: string, updateStrategy: DaemonSetSpec["updateStrategy"] & object) =>
    plane.client.create(daemonSets, {
      metadata: { namespace, name },
      spec: {
        selector: { matchLabels: { app: name } },
        template: template("one", { app: name }),
        updateStrategy,
      },
    });
  const current = (name: string, updated = 3) =>
    until(`${name} has ${updated} of three`, async () => {
      const found = await plane.client.get(daemonSets, { namespace, name });
      const { status, metadata } = found ?? {};
      return (
        status?.observedGeneration === metadata?.generation &&
        status?.numberAvailable === 3 &&
        (status?.updatedNumberScheduled ?? 0) === updated &&
        found
      );
    });
  const change = (name: string, body: object) =>
    plane.client.patch(daemonSets, { namespace, name }, "strategic", body);

  test("with a surge misses none of its pods at any moment", async () => {
    const rollingUpdate = { maxSurge: 1, maxUnavailable: 0 };
    await make("surge", { type: "RollingUpdate", rollingUpdate });
    await current("surge");
    const watch = await moments("surge");
    await change("surge", image("two"));
    await current("surge");
    const seen = (await watch.end()).slice(3);
    expect(Math.min(...seen.map(({ ready }) => ready))).toBe(3);
    // The next one may start in the moment in which an old one is asked to end.
    expect(Math.max(...seen.map(({ staying, ready }) => staying - ready))).toBe(1);
  });

  test("OnDelete leaves its pods to the user", async () => {
    await make("hand-d", { type: "OnDelete" });
    await current("hand-d");
    await change("hand-d", image("two"));
    await current("hand-d", 0);
    const [first] = await podsOf("hand-d");
    await plane.client.delete(pods, { namespace, name: first?.metadata.name ?? "" });
    await current("hand-d", 1);
    expect(await images("hand-d")).toEqual(["one", "one", "two"]);
  });
});

test("nothing was logged as going wrong", () => {
  expect(plane.lines).toEqual([]);
});
