/**
 * Claims, the scheduler, the local provisioner and the nodes' agents on the real API and real
 * folders.
 */
import { afterEach, beforeEach, expect, test } from "bun:test";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { keepLocalVolumes } from "#agents/volumes/local.ts";
import { LocalDisk } from "#agents/volumes/localdisk.ts";
import { realClock } from "#base/clock.ts";
import { silentLog } from "#base/log.ts";
import { createCaches } from "#client/cache.ts";
import { createClient } from "#client/http.ts";
import { localClass } from "#controllers/localprovisioner/class.ts";
import { nodes } from "#resources/kinds/node.ts";
import { persistentVolumes } from "#resources/kinds/persistentvolume.ts";
import { persistentVolumeClaims } from "#resources/kinds/persistentvolumeclaim.ts";
import { pods } from "#resources/kinds/pod.ts";
import { storageClasses } from "#resources/kinds/storageclass.ts";
import type { PersistentVolumeClaimSpec, PodSpec } from "#resources/types.gen.ts";
import { until } from "#test/component/controllers/plane.ts";
import { type SchedulerPlane, startSchedulerPlane } from "#test/component/scheduler/plane.ts";

let plane: SchedulerPlane;
let folder: string;
let stop: AbortController;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "bramble-volumes-"));
  stop = new AbortController();
  plane = await startSchedulerPlane();
  await plane.client.create(storageClasses, localClass);
  for (const name of ["n1", "n2"]) startAgent(name);
  await until("the nodes offer storage", () =>
    plane.caches
      .of(nodes)
      .list()
      .every(({ metadata }) => metadata.annotations?.["bramble.dev/storage-path"]),
  );
});
afterEach(async () => {
  stop.abort();
  await plane.close();
  // An agent that was at it may make one folder more.
  await until("nothing is left", async () => {
    await Bun.sleep(20);
    try {
      rmSync(folder, { recursive: true, force: true });
    } catch {
      return false;
    }
    await Bun.sleep(20);
    return !existsSync(folder);
  });
});

/** With a node's own rights. */
function startAgent(nodeName: string): void {
  const user = {
    name: `system:node:${nodeName}`,
    groups: ["system:nodes", "system:authenticated"],
  };
  const client = createClient((request) => plane.test.api.fetch(request, { user }));
  const shared = { client, clock: realClock, log: silentLog };
  const caches = createCaches(shared);
  stop.signal.addEventListener("abort", () => caches.stop());
  const run = async () => ({ exitCode: 1, stdout: "", stderr: "" });
  const disk = new LocalDisk({ run, root: join(folder, nodeName) });
  keepLocalVolumes({ ...shared, caches, disk, nodeName, signal: stop.signal });
}

const ref = { namespace: "default", name: "c" };
const claim = (spec: Partial<PersistentVolumeClaimSpec> = {}) =>
  plane.client.create(persistentVolumeClaims, {
    metadata: ref,
    spec: {
      accessModes: ["ReadWriteOnce"],
      resources: { requests: { storage: "1Gi" } },
      ...spec,
    },
  });
const using: Partial<PodSpec> = {
  volumes: [{ name: "data", persistentVolumeClaim: { claimName: "c" } }],
};
const volume = () => plane.caches.of(persistentVolumes).list()[0];
const phase = () => plane.client.get(persistentVolumeClaims, ref).then((one) => one?.status?.phase);

test("from claim to folder and back: made for the first pod, removed after the claim", async () => {
  await claim();
  await plane.pod("first", using);
  const on = await plane.nodeOf("first");
  expect(await phase()).toBe("Bound");
  const path = volume()?.spec?.local?.path ?? "";
  expect(path).toStartWith(join(folder, on));
  await until("the folder", () => existsSync(path));
  writeFileSync(join(path, "data"), "kept");
  await plane.client.delete(pods, { namespace: "default", name: "first" });
  await plane.client.patch(nodes, { name: on === "n1" ? "n2" : "n1" }, "merge", {
    metadata: { labels: { empty: "yes" } },
  });
  await plane.pod("second", using);
  expect(await plane.nodeOf("second")).toBe(on);
  expect(readFileSync(join(path, "data"), "utf8")).toBe("kept");
  await plane.client.delete(persistentVolumeClaims, ref);
  expect(
    (await plane.client.get(persistentVolumeClaims, ref))?.metadata.deletionTimestamp,
  ).toBeDefined();
  expect(existsSync(path)).toBe(true);
  await plane.client.delete(pods, { namespace: "default", name: "second" });
  await until("the folder is gone", () => !existsSync(path));
  await until("the volume is gone", () => volume() === undefined);
});

test("under Retain the data stay, though claim and volume are deleted", async () => {
  await plane.client.create(storageClasses, {
    ...localClass,
    metadata: { name: "kept" },
    reclaimPolicy: "Retain",
  });
  await claim({ storageClassName: "kept" });
  await plane.pod("p", using);
  await plane.nodeOf("p");
  const path = volume()?.spec?.local?.path ?? "";
  await until("the folder", () => existsSync(path));
  await plane.client.delete(pods, { namespace: "default", name: "p" });
  await plane.client.delete(persistentVolumeClaims, ref);
  await until("released", () => volume()?.status?.phase === "Released");
  await plane.client.delete(persistentVolumes, { name: volume()?.metadata.name ?? "" });
  await until("the volume is gone", () => volume() === undefined);
  expect(existsSync(path)).toBe(true);
});

test("a claim grows, by way of its volume and its node", async () => {
  await claim();
  await plane.pod("p", using);
  await plane.nodeOf("p");
  const resources = { requests: { storage: "2Gi" } };
  await plane.client.patch(persistentVolumeClaims, ref, "merge", { spec: { resources } });
  await until("it has grown", async () => {
    const found = await plane.client.get(persistentVolumeClaims, ref);
    return found?.status?.capacity?.["storage"] === "2Gi";
  });
  expect(volume()?.spec?.capacity).toEqual({ storage: "2Gi" });
  expect(volume()?.metadata.annotations).toMatchObject({
    "bramble.dev/size": "2Gi",
    "bramble.dev/size-held": "none",
  });
});

test("two claims of one pod are made on one node; a pod with an ephemeral one too", async () => {
  await claim();
  const volumeClaimTemplate = {
    spec: { accessModes: ["ReadWriteOnce"], resources: { requests: { storage: "1Gi" } } },
  };
  await plane.pod("p", {
    volumes: [...(using.volumes ?? []), { name: "scratch", ephemeral: { volumeClaimTemplate } }],
  });
  const on = await plane.nodeOf("p");
  const made = plane.caches.of(persistentVolumes).list();
  expect(made.map(({ metadata }) => metadata.labels?.["bramble.dev/node"])).toEqual([on, on]);
});

test("static volumes: two pods get theirs, each on its node, and a third hears why", async () => {
  const provisioner = "kubernetes.io/no-provisioner";
  await plane.client.create(storageClasses, {
    metadata: { name: "static" },
    provisioner,
    volumeBindingMode: "WaitForFirstConsumer",
  });
  for (const name of ["n1", "n2"]) {
    const expression = { key: "kubernetes.io/hostname", operator: "In", values: [name] };
    await plane.client.create(persistentVolumes, {
      metadata: { name: `disk-${name}` },
      spec: {
        capacity: { storage: "1Gi" },
        accessModes: ["ReadWriteOnce"],
        storageClassName: "static",
        local: { path: `/mnt/${name}` },
        nodeAffinity: { required: { nodeSelectorTerms: [{ matchExpressions: [expression] }] } },
      },
    });
  }
  const one = async (name: string) => {
    await plane.client.create(persistentVolumeClaims, {
      metadata: { namespace: "default", name },
      spec: {
        accessModes: ["ReadWriteOnce"],
        storageClassName: "static",
        resources: { requests: { storage: "1Gi" } },
      },
    });
    await plane.pod(name, { volumes: [{ name: "d", persistentVolumeClaim: { claimName: name } }] });
  };
  await Promise.all(["a", "b"].map(one));
  const on = await Promise.all(["a", "b"].map((name) => plane.nodeOf(name)));
  expect(on.sort()).toEqual(["n1", "n2"]);
  await one("c");
  await plane.waits("c", "2 node(s) didn't find available persistent volumes to bind.");
  await plane.pod("d", { volumes: [{ name: "d", persistentVolumeClaim: { claimName: "none" } }] });
  await plane.waits("d", 'persistentvolumeclaim "none" not found.');
});

test("a node watches its own volumes alone, and changes nothing else of them", async () => {
  await claim();
  await plane.pod("p", using);
  const on = await plane.nodeOf("p");
  const name = volume()?.metadata.name ?? "";
  const other = on === "n1" ? "n2" : "n1";
  const as = (node: string) => ({
    user: { name: `system:node:${node}`, groups: ["system:nodes", "system:authenticated"] },
    headers: { "content-type": "application/merge-patch+json" },
  });
  const all = "/api/v1/persistentvolumes";
  const path = `${all}/${name}`;
  const { call } = plane.test;
  expect((await call("GET", all, undefined, as(on))).code).toBe(403);
  const foreign = `${all}?labelSelector=bramble.dev%2Fnode%3D${other}`;
  expect((await call("GET", foreign, undefined, as(on))).code).toBe(403);
  expect((await call("PATCH", path, { metadata: { labels: { x: "y" } } }, as(other))).code).toBe(
    403,
  );
  expect((await call("PATCH", path, { spec: { capacity: { storage: "9Gi" } } }, as(on))).code).toBe(
    403,
  );
  expect((await call("PATCH", path, { metadata: { finalizers: null } }, as(on))).code).toBe(403);
  const size = { metadata: { annotations: { "bramble.dev/size": "1Gi" } } };
  expect((await call("PATCH", path, size, as(on))).code).toBe(200);
});
