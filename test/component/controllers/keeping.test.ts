/** Controllers that keep, remove or tell: each against the real API. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { ensureIngressClass } from "#controllers/ingress/class.ts";
import type { Kind } from "#resources/kind.ts";
import { endpoints } from "#resources/kinds/endpoints.ts";
import { ingresses } from "#resources/kinds/ingress.ts";
import { nodes } from "#resources/kinds/node.ts";
import { persistentVolumes } from "#resources/kinds/persistentvolume.ts";
import { persistentVolumeClaims } from "#resources/kinds/persistentvolumeclaim.ts";
import { pods } from "#resources/kinds/pod.ts";
import { secrets } from "#resources/kinds/secret.ts";
import { services } from "#resources/kinds/service.ts";
import { serviceCidrs } from "#resources/kinds/servicecidr.ts";
import { volumeAttributesClasses } from "#resources/kinds/volumeattributesclass.ts";
import type { Ref } from "#resources/meta.ts";
import { INGRESS_PORTS } from "#resources/ownedingress.ts";
import type { PersistentVolumeClaim, Pod } from "#resources/types.gen.ts";
import { type Plane, startPlane, until } from "#test/component/controllers/plane.ts";

let plane: Plane;
beforeAll(async () => {
  plane = await startPlane(["n1", "n2"]);
});
afterAll(() => plane.close());

const namespace = "default";
const meta = (name: string) => ({ namespace, name });

const pod = (name: string, spec: Partial<Pod["spec"]> = {}): Pod => ({
  metadata: { ...meta(name), labels: { app: name } },
  spec: { containers: [{ name: "c", image: "i" }], ...spec },
});

const claim = (name: string): PersistentVolumeClaim => ({
  metadata: meta(name),
  spec: {
    storageClassName: "",
    accessModes: ["ReadWriteOnce"],
    resources: { requests: { storage: "1Gi" } },
  },
});

const gone = (kind: Kind, ref: Ref) =>
  until(`${ref.name} is gone`, async () => (await plane.client.get(kind, ref)) === undefined);

const protectedBy = (kind: Kind, ref: Ref, finalizer: string) =>
  until(`${ref.name} is protected`, async () => {
    const found = await plane.client.get(kind, ref);
    return found?.metadata.finalizers?.includes(finalizer);
  });

const running = (name: string) =>
  until(`${name} runs`, async () => {
    const found = await plane.client.get(pods, meta(name));
    return found?.status?.phase === "Running" && found;
  });

test("a claim stays while a pod uses it, its volume while it is bound", async () => {
  const { client } = plane;
  await client.create(persistentVolumes, {
    metadata: { name: "kept" },
    spec: {
      capacity: { storage: "1Gi" },
      accessModes: ["ReadWriteOnce"],
      hostPath: { path: "/srv/kept" },
    },
  });
  await client.create(persistentVolumeClaims, claim("kept"));
  await protectedBy(persistentVolumeClaims, meta("kept"), "kubernetes.io/pvc-protection");
  await protectedBy(persistentVolumes, { name: "kept" }, "kubernetes.io/pv-protection");
  const volumes = [{ name: "data", persistentVolumeClaim: { claimName: "kept" } }];
  await client.create(pods, pod("user", { volumes }));
  await running("user");
  await until("both are bound", async () => {
    const volume = await client.get(persistentVolumes, { name: "kept" });
    return volume?.status?.phase === "Bound";
  });
  await client.create(persistentVolumeClaims, claim("free"));
  await protectedBy(persistentVolumeClaims, meta("free"), "kubernetes.io/pvc-protection");
  await client.delete(persistentVolumes, { name: "kept" });
  await client.delete(persistentVolumeClaims, meta("kept"));
  // Whoever removes this one has looked at the others by then.
  await client.delete(persistentVolumeClaims, meta("free"));
  await gone(persistentVolumeClaims, meta("free"));
  const left = await client.get(persistentVolumeClaims, meta("kept"));
  expect(left?.metadata.deletionTimestamp).toBeDefined();
  expect(await client.get(persistentVolumes, { name: "kept" })).toBeDefined();
  await client.delete(pods, meta("user"));
  await gone(persistentVolumeClaims, meta("kept"));
  await gone(persistentVolumes, { name: "kept" });
});

test("a class of attributes stays while a claim names it", async () => {
  const { client } = plane;
  const name = "fast";
  const parameters = { iops: "100" };
  for (const each of [name, "free"]) {
    const metadata = { name: each };
    await client.create(volumeAttributesClasses, { metadata, driverName: "d", parameters });
    await protectedBy(volumeAttributesClasses, metadata, "kubernetes.io/vac-protection");
  }
  const fast = claim("fast");
  const spec = { ...fast.spec, volumeAttributesClassName: name };
  await client.create(persistentVolumeClaims, { ...fast, spec });
  await until("the claim is seen", () => {
    return plane.caches.of(persistentVolumeClaims).get("default/fast") !== undefined;
  });
  await client.delete(volumeAttributesClasses, { name });
  await client.delete(volumeAttributesClasses, { name: "free" });
  await gone(volumeAttributesClasses, { name: "free" });
  expect(await client.get(volumeAttributesClasses, { name })).toBeDefined();
  await client.delete(persistentVolumeClaims, meta("fast"));
  await gone(volumeAttributesClasses, { name });
});

test("a token goes when its time is over, others stay", async () => {
  const { client } = plane;
  const token = (name: string, ends: number) =>
    client.create(secrets, {
      metadata: { namespace: "kube-system", name },
      type: "bootstrap.kubernetes.io/token",
      data: { expiration: btoa(new Date(ends).toISOString()) },
    });
  await token("bootstrap-token-new000", Date.now() + 3_600_000);
  await token("bootstrap-token-old000", Date.now() - 1_000);
  await gone(secrets, { namespace: "kube-system", name: "bootstrap-token-old000" });
  const kept = await client.get(secrets, {
    namespace: "kube-system",
    name: "bootstrap-token-new000",
  });
  expect(kept).toBeDefined();
});

test("a range that no address is given out of says so", async () => {
  const { client } = plane;
  await client.create(serviceCidrs, {
    metadata: { name: "other" },
    spec: { cidrs: ["10.9.0.0/24"] },
  });
  const condition = await until("a condition", async () => {
    const found = await client.get(serviceCidrs, { name: "other" });
    return found?.status?.conditions?.find(({ type }) => type === "Ready");
  });
  expect(condition).toMatchObject({ status: "False", reason: "NotServed" });
});

test("a taint drives off who does not tolerate it, and who does later or never", async () => {
  const { client } = plane;
  const key = "example.dev/drained";
  const tolerates = (tolerationSeconds?: number) => ({
    nodeName: "n2",
    tolerations: [
      {
        ...{ key, operator: "Exists", effect: "NoExecute" },
        ...(tolerationSeconds !== undefined && { tolerationSeconds }),
      },
    ],
  });
  await client.create(pods, pod("stranger", { nodeName: "n2" }));
  await client.create(pods, pod("guest", tolerates(1)));
  await client.create(pods, pod("resident", tolerates()));
  for (const name of ["stranger", "guest", "resident"]) await running(name);
  const taints = [{ key, effect: "NoExecute", timeAdded: new Date().toISOString() }];
  await client.patch(nodes, { name: "n2" }, "merge", { spec: { taints } });
  await gone(pods, meta("stranger"));
  await gone(pods, meta("guest"));
  expect((await client.get(pods, meta("resident")))?.metadata.deletionTimestamp).toBeUndefined();
  await client.patch(nodes, { name: "n2" }, "merge", { spec: { taints: null } });
});

test("an Ingress gets the addresses of the nodes that serve it", async () => {
  const { client } = plane;
  await ensureIngressClass(client);
  const addresses = [{ type: "InternalIP", address: "192.0.2.7" }];
  await client.patch(
    nodes,
    { name: "n1" },
    "merge",
    { status: { addresses } },
    { subresource: "status" },
  );
  const annotations = { [INGRESS_PORTS]: "80,443" };
  await client.patch(nodes, { name: "n1" }, "merge", { metadata: { annotations } });
  const service = { name: "web", port: { number: 80 } };
  await client.create(ingresses, { metadata: meta("web"), spec: { defaultBackend: { service } } });
  const shown = await until("an address", async () => {
    const found = await client.get(ingresses, meta("web"));
    return found?.status?.loadBalancer?.ingress;
  });
  expect(shown).toEqual([{ ip: "192.0.2.7" }]);
});

test("the old Endpoints follow the pods of a Service, and go with it", async () => {
  const { client } = plane;
  await client.create(services, {
    metadata: meta("old"),
    spec: { selector: { app: "old" }, ports: [{ port: 80 }] },
  });
  await client.create(pods, pod("old"));
  const { status } = await running("old");
  const subsets = await until("its address", async () => {
    const found = (await client.get(endpoints, meta("old")))?.subsets;
    return found?.some(({ addresses }) => addresses !== undefined) && found;
  });
  expect(subsets[0]?.addresses?.map(({ ip }) => ip)).toEqual([status?.podIP ?? ""]);
  await client.delete(services, meta("old"));
  await gone(endpoints, meta("old"));
});

test("nothing was logged as going wrong", () => {
  expect(plane.lines).toEqual([]);
});
