/**
 * Attach state on the real API. What bramble mounts by itself (folders, NFS) is attached to no
 * node; who brings an attacher of his own finds the objects that it works by.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { persistentVolumes } from "#resources/kinds/persistentvolume.ts";
import { persistentVolumeClaims } from "#resources/kinds/persistentvolumeclaim.ts";
import { pods } from "#resources/kinds/pod.ts";
import { volumeAttachments } from "#resources/kinds/volumeattachment.ts";
import { type Plane, startPlane, until } from "#test/component/controllers/plane.ts";

const namespace = "default";
const PATH = "/apis/storage.k8s.io/v1/volumeattachments";
const node = { name: "system:node:n1", groups: ["system:nodes", "system:authenticated"] };

let plane: Plane;
beforeAll(async () => {
  plane = await startPlane(["n1", "n2"]);
});
afterAll(() => plane.close());

test("a volume that a node mounts by itself is attached to none", async () => {
  const { client } = plane;
  const size = { storage: "1Gi" };
  await client.create(persistentVolumes, {
    metadata: { name: "v" },
    spec: { capacity: size, accessModes: ["ReadWriteOnce"], hostPath: { path: "/srv/v" } },
  });
  await client.create(persistentVolumeClaims, {
    metadata: { namespace, name: "c" },
    spec: { storageClassName: "", accessModes: ["ReadWriteOnce"], resources: { requests: size } },
  });
  await client.create(pods, {
    metadata: { namespace, name: "p" },
    spec: {
      containers: [{ name: "c", image: "i" }],
      volumes: [{ name: "data", persistentVolumeClaim: { claimName: "c" } }],
    },
  });
  await until("the pod runs with its volume", async () => {
    const claim = await client.get(persistentVolumeClaims, { namespace, name: "c" });
    const pod = await client.get(pods, { namespace, name: "p" });
    return claim?.status?.phase === "Bound" && pod?.status?.phase === "Running";
  });
  expect((await client.list(volumeAttachments)).items).toEqual([]);
});

test("an attacher is told what to attach, says that it did, and lets it go", async () => {
  const { client, test: api } = plane;
  const source = { persistentVolumeName: "v" };
  const finalizers = ["external-attacher/example-com"];
  const spec = { attacher: "example.com", nodeName: "n1", source };
  const made = await client.create(volumeAttachments, {
    metadata: { name: "a", finalizers },
    spec,
  });
  expect(made.status).toEqual({ attached: false });
  const moved = client.patch(volumeAttachments, { name: "a" }, "merge", {
    spec: { nodeName: "n2" },
  });
  expect(await moved.catch((error: Error) => error.message)).toContain("field is immutable");
  // Who looks at the object itself cannot say that it is attached; its attacher says so.
  await client.patch(volumeAttachments, { name: "a" }, "merge", { status: { attached: true } });
  expect((await client.get(volumeAttachments, { name: "a" }))?.status?.attached).toBe(false);
  const status = { attached: true, attachmentMetadata: { device: "/dev/vdb" } };
  const how = { subresource: "status" } as const;
  await client.patch(volumeAttachments, { name: "a" }, "merge", { status }, how);
  const accept = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json";
  const table = await api.call("GET", PATH, undefined, { headers: { accept } });
  expect(table.body.rows[0].cells.slice(0, 5)).toEqual(["a", "example.com", "v", "n1", true]);
  // The node that it is for may look, and change nothing.
  expect((await api.call("GET", `${PATH}/a`, undefined, { user: node })).code).toBe(200);
  expect((await api.call("DELETE", `${PATH}/a`, undefined, { user: node })).code).toBe(403);
  await client.delete(volumeAttachments, { name: "a" });
  const going = await client.get(volumeAttachments, { name: "a" });
  expect(going?.metadata.deletionTimestamp).toBeDefined();
  await client.patch(volumeAttachments, { name: "a" }, "merge", { metadata: { finalizers: null } });
  expect(await client.get(volumeAttachments, { name: "a" })).toBeUndefined();
});

test("nothing was logged as going wrong", () => {
  expect(plane.lines).toEqual([]);
});
