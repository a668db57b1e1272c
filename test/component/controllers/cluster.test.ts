import { afterAll, beforeAll, expect, test } from "bun:test";
import { configMaps } from "#resources/kinds/configmap.ts";
import { deployments } from "#resources/kinds/deployment.ts";
import { namespaces } from "#resources/kinds/namespace.ts";
import { nodes } from "#resources/kinds/node.ts";
import { pods } from "#resources/kinds/pod.ts";
import { secrets } from "#resources/kinds/secret.ts";
import { serviceAccounts } from "#resources/kinds/serviceaccount.ts";
import { type Plane, startPlane, until } from "#test/component/controllers/plane.ts";
import { template } from "#test/support/build.ts";

let plane: Plane;
beforeAll(async () => {
  plane = await startPlane(["n1", "n2", "n3"], { nodeGraceMs: 4_000, renewMs: 300 });
});
afterAll(() => plane.close());

const toleration = (key: string) => ({
  key: `node.kubernetes.io/${key}`,
  operator: "Exists",
  effect: "NoExecute",
  tolerationSeconds: 1,
});

test("every node gets its own range", async () => {
  const cidrs = await until("three ranges", async () => {
    const all = (await plane.client.list(nodes)).items.map((node) => node.spec?.podCIDR);
    return all.every((cidr) => cidr !== undefined) && all;
  });
  expect(new Set(cidrs).size).toBe(3);
});

test("a new namespace has what every namespace has, and goes with all that is in it", async () => {
  const { client } = plane;
  await client.create(namespaces, { metadata: { name: "team" } });
  await until("the account and the CA", async () => {
    const account = await client.get(serviceAccounts, { namespace: "team", name: "default" });
    const ca = await client.get(configMaps, { namespace: "team", name: "kube-root-ca.crt" });
    return account !== undefined && ca?.data?.["ca.crt"] === "test-ca";
  });
  const labels = { app: "a" };
  await client.create(deployments, {
    metadata: { namespace: "team", name: "a" },
    spec: { replicas: 2, selector: { matchLabels: labels }, template: template("a", labels) },
  });
  const held = { namespace: "team", name: "held", finalizers: ["x.io/hold"] };
  await client.create(secrets, { metadata: held });
  await until("two pods", async () => {
    return (await client.list(pods, { namespace: "team" })).items.length === 2;
  });
  await client.delete(namespaces, { name: "team" });
  const stuck = await until("what holds it", async () => {
    const found = await client.get(namespaces, { name: "team" });
    return found?.status?.conditions?.find(
      ({ type, status }) => type === "NamespaceFinalizersRemaining" && status === "True",
    );
  });
  expect(stuck.message).toContain("x.io/hold in 1 resource instances");
  await client.patch(secrets, held, "merge", { metadata: { finalizers: null } });
  await until("the end", async () => {
    return (await client.get(namespaces, { name: "team" })) === undefined;
  });
  expect((await client.list(pods, { namespace: "team" })).items).toEqual([]);
}, 360_000);

test("a silent node loses its pods to others, and is free again when it is back", async () => {
  const { client, hollow } = plane;
  const namespace = "default";
  const labels = { app: "b" };
  const pod = template("b", labels);
  const tolerations = [toleration("unreachable"), toleration("not-ready")];
  await client.create(deployments, {
    metadata: { namespace, name: "b" },
    spec: {
      replicas: 6,
      selector: { matchLabels: labels },
      template: { ...pod, spec: { containers: [], ...pod.spec, tolerations } },
    },
  });
  const available = (count: number) =>
    until(`${count} available`, async () => {
      const found = await client.get(deployments, { namespace, name: "b" });
      return found?.status?.availableReplicas === count;
    });
  await available(6);
  const on = async (name: string) =>
    (await client.list(pods, { namespace, fieldSelector: `spec.nodeName=${name}` })).items;
  expect((await on("n1")).length).toBeGreaterThan(0);
  hollow.cut.add("n1");
  await until("n1 is empty", async () => (await on("n1")).length === 0);
  await available(6);
  const node = await client.get(nodes, { name: "n1" });
  const ready = node?.status?.conditions?.find(({ type }) => type === "Ready");
  expect(ready).toMatchObject({ status: "Unknown", reason: "NodeStatusUnknown" });
  hollow.cut.delete("n1");
  await until("n1 is free of taints", async () => {
    return ((await client.get(nodes, { name: "n1" }))?.spec?.taints ?? []).length === 0;
  });
}, 360_000);

test("a pod that is marked to wait for its node is there when it is back", async () => {
  const { client, hollow } = plane;
  const namespace = "default";
  const tolerations = [toleration("unreachable"), toleration("not-ready")];
  const make = (name: string, annotations: Record<string, string>) =>
    client.create(pods, {
      metadata: { namespace, name, annotations },
      spec: { containers: [{ name: "c", image: "i" }], nodeName: "n2", tolerations },
    });
  const waiting = await make("waits", { "bramble.dev/on-node-loss": "wait" });
  const running = (name: string) =>
    until(`${name} runs`, async () => {
      const { status } = (await client.get(pods, { namespace, name })) ?? {};
      return status?.conditions?.some(({ type, status: is }) => type === "Ready" && is === "True");
    });
  await make("goes", {});
  await running("goes");
  await running("waits");
  hollow.cut.add("n2");
  await until("the other one is told to go", async () => {
    const found = await client.get(pods, { namespace, name: "goes" });
    return found === undefined || found.metadata.deletionTimestamp !== undefined;
  });
  const now = await client.get(pods, { namespace, name: "waits" });
  expect(now?.metadata).toMatchObject({ uid: waiting.metadata.uid });
  expect(now?.metadata.deletionTimestamp).toBeUndefined();
  hollow.cut.delete("n2");
  await until("n2 is free of taints", async () => {
    return ((await client.get(nodes, { name: "n2" }))?.spec?.taints ?? []).length === 0;
  });
  const after = await client.get(pods, { namespace, name: "waits" });
  expect(after?.metadata.uid).toBe(waiting.metadata.uid);
  expect([after?.metadata.deletionTimestamp, after?.spec?.nodeName]).toEqual([undefined, "n2"]);
}, 360_000);

test("the pods of a node that is removed go", async () => {
  const { client, hollow } = plane;
  hollow.cut.add("n3");
  await client.delete(nodes, { name: "n3" });
  await until("no pod of n3", async () => {
    const query = { fieldSelector: "spec.nodeName=n3" };
    return (await client.list(pods, query)).items.length === 0;
  });
}, 360_000);

test("nothing was logged as going wrong", () => {
  expect(plane.lines).toEqual([]);
});
