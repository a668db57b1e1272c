/** Volumes on the node's own disk, as people use them: data outlives pods, sizes are held. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { eventually, type Instance, startInstance } from "#test/support/instance.ts";

let cluster: Instance;

beforeAll(async () => {
  cluster = await startInstance({ name: "volumes", images: ["1"] });
}, 270_000);

afterAll(async () => {
  await cluster?.close();
}, 180_000);

/** A container that does nothing, with the volume at /d. */
const container = (volume: string) =>
  "{name: c, image: 'bramble.local/web:1', imagePullPolicy: Never, command: [sleep, '3600'], " +
  `volumeMounts: [{name: ${volume}, mountPath: /d}]}`;

const claimTemplate = (name: string, storage: string, className: string) => `
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: ${name}}
spec:
  storageClassName: ${className}
  accessModes: [ReadWriteOnce]
  resources: {requests: {storage: ${storage}}}
`;

const podWith = (name: string, claim: string) => `
apiVersion: v1
kind: Pod
metadata: {name: ${name}}
spec:
  terminationGracePeriodSeconds: 0
  containers:
    - ${container("d")}
  volumes: [{name: d, persistentVolumeClaim: {claimName: ${claim}}}]
`;

const inPod = (pod: string, script: string) =>
  cluster.kubectl(["exec", pod, "--", "sh", "-c", script]);
const isReady = (pod: string) =>
  cluster.must("wait", `pod/${pod}`, "--for=condition=Ready", "--timeout=120s");
const field = (what: string, path: string) =>
  cluster.must("get", ...what.split(" "), "-o", `jsonpath={${path}}`);

test("the default class is there, and a set's data outlive its pods and the server", async () => {
  expect(await cluster.must("get", "storageclass")).toMatch(/^local-path \(default\) /m);
  await cluster.apply(`
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db}
spec:
  serviceName: db
  selector: {matchLabels: {app: db}}
  template:
    metadata: {labels: {app: db}}
    spec:
      terminationGracePeriodSeconds: 0
      containers:
        - ${container("data")}
  volumeClaimTemplates:
    - metadata: {name: data}
      spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}
`);
  await cluster.must("rollout", "status", "statefulset/db", "--timeout=120s");
  expect((await inPod("db-0", "echo kept > /d/file")).exitCode).toBe(0);
  const before = await field("pod db-0", ".metadata.uid");
  await cluster.must("delete", "pod", "db-0");
  await cluster.stop("SIGKILL");
  await cluster.start();
  await eventually("the pod is replaced", 60_000, async () => {
    const uid = await field("pod db-0", ".metadata.uid");
    const ready = ".status.conditions[?(@.type=='Ready')].status";
    return uid !== before && (await field("pod db-0", ready)) === "True";
  });
  expect((await inPod("db-0", "cat /d/file")).stdout).toBe("kept\n");
}, 180_000);

test("deleting the claim removes the folder, once no pod uses it", async () => {
  await cluster.apply(`${claimTemplate("gone", "1Gi", "local-path")}---${podWith("gone", "gone")}`);
  await isReady("gone");
  const volume = await field("pvc gone", ".spec.volumeName");
  const path = await field(`pv ${volume}`, ".spec.local.path");
  expect(path).toStartWith(join(cluster.dataDir, "storage/"));
  await inPod("gone", "echo secret > /d/file");
  expect(await readFile(join(path, "file"), "utf8")).toBe("secret\n");
  await cluster.must("delete", "pvc", "gone", "--wait=false");
  expect(await field("pvc gone", ".metadata.finalizers[0]")).toBe("kubernetes.io/pvc-protection");
  await cluster.must("delete", "pod", "gone");
  await eventually("the folder is gone", 60_000, async () => !existsSync(path));
  await cluster.must("wait", `pv/${volume}`, "--for=delete", "--timeout=120s");
}, 180_000);

test("a class with a size limit gives a file system of just that size", async () => {
  await cluster.apply(`
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {name: limited}
provisioner: bramble.dev/local-path
volumeBindingMode: WaitForFirstConsumer
allowVolumeExpansion: true
reclaimPolicy: Retain
parameters: {sizeLimit: loop}
`);
  await cluster.apply(
    `${claimTemplate("small", "32Mi", "limited")}---${podWith("small", "small")}`,
  );
  await isReady("small");
  const full = await inPod("small", "dd if=/dev/zero of=/d/a bs=1M count=40");
  expect(full.exitCode).not.toBe(0);
  expect(full.stderr).toContain("No space left on device");
  const volume = await field("pvc small", ".spec.volumeName");
  await cluster.must("delete", "pod/small", "pvc/small");
  await cluster.must(
    "wait",
    `pv/${volume}`,
    "--for=jsonpath={.status.phase}=Released",
    "--timeout=120s",
  );
  await cluster.must("delete", "pv", volume);
  const left = await readdir(join(cluster.dataDir, "storage"));
  expect(left.some((name) => name.startsWith(volume) && name.endsWith(".img"))).toBe(true);
}, 180_000);
