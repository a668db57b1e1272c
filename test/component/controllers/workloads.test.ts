import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { deployments } from "#resources/kinds/deployment.ts";
import { endpointSlices } from "#resources/kinds/endpointslice.ts";
import { events } from "#resources/kinds/event.ts";
import { pods } from "#resources/kinds/pod.ts";
import { replicaSets } from "#resources/kinds/replicaset.ts";
import { services } from "#resources/kinds/service.ts";
import type { Deployment } from "#resources/types.gen.ts";
import { type Plane, startPlane, until } from "#test/component/controllers/plane.ts";
import { template } from "#test/support/build.ts";

let plane: Plane;
beforeAll(async () => {
  plane = await startPlane();
});
afterAll(() => plane.close());

const namespace = "default";

function deployment(name: string, replicas: number, image = "web:1"): Deployment {
  const labels = { app: name };
  return {
    metadata: { namespace, name },
    spec: { replicas, selector: { matchLabels: labels }, template: template(image, labels) },
  };
}

const complete = (name: string, replicas: number) =>
  until(`${name} has ${replicas}`, async () => {
    const found = await plane.client.get(deployments, { namespace, name });
    const { status, metadata } = found ?? {};
    return (
      status?.observedGeneration === metadata?.generation &&
      (status?.updatedReplicas ?? 0) === replicas &&
      (status?.availableReplicas ?? 0) === replicas &&
      (status?.replicas ?? 0) === replicas &&
      found
    );
  });

const podsOf = async (name: string) =>
  (await plane.client.list(pods, { namespace, labelSelector: `app=${name}` })).items;

describe("a Deployment", () => {
  test("comes up, and behind its Service", async () => {
    const { client } = plane;
    await client.create(services, {
      metadata: { namespace, name: "web" },
      spec: { selector: { app: "web" }, ports: [{ port: 80, targetPort: 8080 }] },
    });
    await client.create(deployments, deployment("web", 3));
    const { metadata } = await complete("web", 3);
    expect(metadata.annotations?.["deployment.kubernetes.io/revision"]).toBe("1");
    const ready = await until("three ready endpoints", async () => {
      const slices = (await client.list(endpointSlices, { namespace })).items;
      const own = slices.filter(
        (one) => one.metadata.labels?.["kubernetes.io/service-name"] === "web",
      );
      const found = own.flatMap((slice) => slice.endpoints).filter((one) => one.conditions?.ready);
      return found.length === 3 && found;
    });
    const addresses = (await podsOf("web")).map((pod) => pod.status?.podIP ?? "").sort();
    expect(ready.flatMap((one) => one.addresses).sort()).toEqual(addresses);
    const told = (await client.list(events, { namespace })).items;
    expect(told.map((event) => event.reason)).toContain("ScalingReplicaSet");
  });

  test("rolls to a new template, and back", async () => {
    const { client } = plane;
    const ref = { namespace, name: "web" };
    const image = (name: string) => ({
      spec: { template: { spec: { containers: [{ name: "main", image: name }] } } },
    });
    await client.patch(deployments, ref, "strategic", image("web:2"));
    await complete("web", 3);
    expect((await podsOf("web")).map((pod) => pod.spec?.containers[0]?.image)).toEqual([
      "web:2",
      "web:2",
      "web:2",
    ]);
    await client.patch(deployments, ref, "strategic", image("web:1"));
    const { metadata } = await complete("web", 3);
    expect(metadata.annotations?.["deployment.kubernetes.io/revision"]).toBe("3");
    const sets = (await client.list(replicaSets, { namespace, labelSelector: "app=web" })).items;
    expect(sets).toHaveLength(2);
  });

  test("replaces a pod that is deleted", async () => {
    const [first] = await podsOf("web");
    await plane.client.delete(pods, { namespace, name: first?.metadata.name ?? "" });
    await until("a pod in its place", async () => {
      const now = await podsOf("web");
      return now.length === 3 && now.every((pod) => pod.metadata.uid !== first?.metadata.uid);
    });
    await complete("web", 3);
  });

  test("deleted in the foreground takes its sets and pods along", async () => {
    const { client } = plane;
    await client.create(deployments, deployment("gone", 2));
    await complete("gone", 2);
    const how = { propagationPolicy: "Foreground" } as const;
    await client.delete(deployments, { namespace, name: "gone" }, how);
    await until("all is gone", async () => {
      const rest = await client.get(deployments, { namespace, name: "gone" });
      return rest === undefined && (await podsOf("gone")).length === 0;
    });
    const sets = await client.list(replicaSets, { namespace, labelSelector: "app=gone" });
    expect(sets.items).toEqual([]);
  });

  test("deleted as an orphan leaves its pods running", async () => {
    const { client } = plane;
    await client.create(deployments, deployment("kept", 2));
    await complete("kept", 2);
    const how = { propagationPolicy: "Orphan" } as const;
    await client.delete(deployments, { namespace, name: "kept" }, how);
    const sets = await until("the deployment is gone", async () => {
      const rest = await client.get(deployments, { namespace, name: "kept" });
      if (rest !== undefined) return false;
      return (await client.list(replicaSets, { namespace, labelSelector: "app=kept" })).items;
    });
    expect(sets[0]?.metadata.ownerReferences ?? []).toEqual([]);
    expect(await podsOf("kept")).toHaveLength(2);
  });
});

/**
 * What rolling ten pods may write, and why; without events and Leases, which are lazy. How many
 * steps there are depends on how the pods' moments fall together: about 35 writes in all.
 */
const COSTS: Readonly<Record<string, { most: number; why: string }>> = {
  "PATCH /deployments/…": { most: 1, why: "the change itself" },
  "POST /replicasets": { most: 1, why: "the new revision" },
  "POST /pods": { most: 10, why: "the new pod" },
  "POST /pods/…/binding": { most: 10, why: "its node" },
  "PATCH /pods/…/status": { most: 10, why: "running and ready, told at once" },
  "DELETE /pods/…": { most: 20, why: "the old pod is asked to end; it has ended" },
  "PATCH /replicasets/…": { most: 20, why: "a step of two or three pods, up or down" },
  "PATCH /replicasets/…/status": { most: 30, why: "the generation and the counts of a step" },
  "PATCH /deployments/…/status": { most: 20, why: "progress, and its end" },
  "PATCH /endpointslices/…": { most: 30, why: "readiness of the pods of a step" },
  "PATCH /endpoints/…": { most: 6, why: "the same for old clients, once a second at most" },
};

/** Until nothing was written for a second and a half: longer than any pause between two writes. */
async function atRest(): Promise<void> {
  let [count, since] = [-1, 0];
  await until("a cluster at rest", () => {
    if (plane.writes.length !== count) [count, since] = [plane.writes.length, performance.now()];
    return performance.now() - since > 1_500;
  });
}

describe("the cost", () => {
  test("of a rolled pod is known: each write has its reason, and none is made twice", async () => {
    const { client, writes } = plane;
    await client.create(services, {
      metadata: { namespace, name: "cost" },
      spec: { selector: { app: "cost" }, ports: [{ port: 80 }] },
    });
    await client.create(deployments, deployment("cost", 10));
    await complete("cost", 10);
    await atRest();
    writes.length = 0;
    const began = performance.now();
    const ref = { namespace, name: "cost" };
    const body = { spec: { template: { metadata: { annotations: { round: "2" } } } } };
    await client.patch(deployments, ref, "merge", body);
    await complete("cost", 10);
    await until("the old pods are gone", async () => (await podsOf("cost")).length === 10);
    const seconds = (performance.now() - began) / 1_000;
    await atRest();
    const count = new Map<string, number>();
    for (const line of writes) {
      const short = line.replace(/cost(-[a-z0-9]+)*/, "…").replace("/namespaces/default", "");
      const kind = short.replace(/\/apis\/[^/]+\/[^/]+|\/api\/v1/, "");
      count.set(kind, (count.get(kind) ?? 0) + 1);
    }
    if (process.env["SHOW"]) console.log(writes.length / 10, Object.fromEntries(count));
    // What is written once a second is more where a loaded machine takes longer.
    const most = (kind: string) =>
      (COSTS[kind]?.most ?? 0) + (kind.includes("/endpoints/") ? Math.floor(seconds) : 0);
    expect([...count].filter(([kind, times]) => times > most(kind))).toEqual([]);
    expect((writes.length - seconds) / 10).toBeLessThan(12);
  });

  test("of a cluster at rest is nothing", async () => {
    const { writes } = plane;
    await atRest();
    writes.length = 0;
    await Bun.sleep(500);
    expect(writes).toEqual([]);
    expect(plane.lines).toEqual([]);
  });
});
