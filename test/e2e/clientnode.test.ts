/**
 * @kubernetes/client-node against the compiled binary: list, watch, informer, patch, exec, logs.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { PassThrough } from "node:stream";
import {
  ApiException,
  AppsV1Api,
  CoordinationV1Api,
  CoreV1Api,
  Exec,
  KubeConfig,
  KubernetesObjectApi,
  Log,
  makeInformer,
  PatchStrategy,
  setHeaderOptions,
  type V1ConfigMap,
  type V1Status,
  Watch,
} from "@kubernetes/client-node";
import { webManifest } from "#test/e2e/web.ts";
import { eventually, type Instance, startInstance } from "#test/support/instance.ts";

// Bun ignores the agent in which this library keeps the CA; kubectl's tests check certificates.
const CHECK = "NODE_TLS_REJECT_UNAUTHORIZED";
const checkBefore = process.env[CHECK];

let cluster: Instance;
let config: KubeConfig;
let core: CoreV1Api;

beforeAll(async () => {
  cluster = await startInstance({ name: "clientnode", images: ["1"] });
  process.env[CHECK] = "0";
  config = new KubeConfig();
  config.loadFromFile(cluster.kubeconfig);
  core = config.makeApiClient(CoreV1Api);
  await cluster.apply(webManifest({ replicas: 1 }));
  await cluster.must("rollout", "status", "deployment/web", "--timeout=120s");
}, 270_000);

afterAll(async () => {
  if (checkBefore === undefined) delete process.env[CHECK];
  else process.env[CHECK] = checkBefore;
  await cluster?.close();
}, 180_000);

const namespace = "default";

/** One that runs and stays. */
async function webPod(): Promise<string> {
  const { items } = await core.listNamespacedPod({ namespace, labelSelector: "app=web" });
  const found = items.find(
    ({ metadata, status }) => !metadata?.deletionTimestamp && status?.phase === "Running",
  );
  return found?.metadata?.name ?? "";
}

test("objects are listed, made, read, changed and deleted", async () => {
  const body = { metadata: { name: "crud" }, data: { a: "1" } };
  const made = await core.createNamespacedConfigMap({ namespace, body });
  expect(made.metadata?.uid).toBeDefined();
  expect(made.metadata?.creationTimestamp).toBeInstanceOf(Date);
  const read = await core.readNamespacedConfigMap({ namespace, name: "crud" });
  expect(read.data).toEqual({ a: "1" });
  const replaced = { ...read, data: { a: "2" } };
  await core.replaceNamespacedConfigMap({ namespace, name: "crud", body: replaced });
  const stale = core.replaceNamespacedConfigMap({ namespace, name: "crud", body: replaced });
  const conflict = await stale.catch((error: unknown) => error);
  expect(conflict).toBeInstanceOf(ApiException);
  expect((conflict as ApiException<string>).code).toBe(409);
  await core.deleteNamespacedConfigMap({ namespace, name: "crud" });
  const { items } = await core.listNamespacedConfigMap({ namespace });
  expect(items.map(({ metadata }) => metadata?.name)).not.toContain("crud");
});

test("all kinds of patches", async () => {
  const apps = config.makeApiClient(AppsV1Api);
  const patch = async (strategy: PatchStrategy, body: object, more: object = {}) =>
    apps.patchNamespacedDeployment(
      { namespace, name: "web", body, ...more },
      setHeaderOptions("Content-Type", strategy),
    );
  const merged = await patch(PatchStrategy.MergePatch, { metadata: { labels: { merged: "yes" } } });
  expect(merged.metadata?.labels?.["merged"]).toBe("yes");
  const op = { op: "add", path: "/metadata/labels/json", value: "yes" };
  const json = await patch(PatchStrategy.JsonPatch, [op]);
  expect(json.metadata?.labels).toMatchObject({ merged: "yes", json: "yes" });
  const env = [{ name: "EXTRA", value: "1" }];
  const spec = { template: { spec: { containers: [{ name: "web", env }] } } };
  const strategic = await patch(PatchStrategy.StrategicMergePatch, { spec });
  const names = strategic.spec?.template.spec?.containers[0]?.env?.map(({ name }) => name);
  expect(names?.sort()).toEqual(["EXTRA", "GREETING"]);
  const applied = { apiVersion: "apps/v1", kind: "Deployment", spec: { minReadySeconds: 0 } };
  const manager = { fieldManager: "tests" };
  const whole = { ...applied, metadata: { name: "web", labels: { applied: "yes" } } };
  const server = await patch(PatchStrategy.ServerSideApply, whole, manager);
  expect(server.metadata?.managedFields?.some(({ manager }) => manager === "tests")).toBe(true);
  await cluster.must("rollout", "status", "deployment/web", "--timeout=120s");
});

test("generic objects are made by their kind alone", async () => {
  const api = KubernetesObjectApi.makeApiClient(config);
  const spec = { holderIdentity: "me", leaseDurationSeconds: 10 };
  const metadata = { name: "held", namespace };
  await api.create({ apiVersion: "coordination.k8s.io/v1", kind: "Lease", metadata, spec });
  const lease = await config
    .makeApiClient(CoordinationV1Api)
    .readNamespacedLease({ namespace, name: "held" });
  expect(lease.spec?.holderIdentity).toBe("me");
});

test("a watch tells of changes in order", async () => {
  const seen: string[] = [];
  const { metadata } = await core.listNamespacedConfigMap({ namespace });
  const request = await new Watch(config).watch(
    `/api/v1/namespaces/${namespace}/configmaps`,
    { resourceVersion: metadata?.resourceVersion },
    (type, object: V1ConfigMap) => seen.push(`${type} ${object.metadata?.name}`),
    () => {},
  );
  await core.createNamespacedConfigMap({ namespace, body: { metadata: { name: "watched" } } });
  const body = { metadata: { name: "watched" }, data: { x: "y" } };
  await core.replaceNamespacedConfigMap({ namespace, name: "watched", body });
  await core.deleteNamespacedConfigMap({ namespace, name: "watched" });
  await eventually("three events came", 60_000, async () => seen.length >= 3);
  request.abort();
  expect(seen).toEqual(["ADDED watched", "MODIFIED watched", "DELETED watched"]);
});

test("an informer has what is there, and what comes", async () => {
  const events: string[] = [];
  const list = () => core.listNamespacedConfigMap({ namespace });
  const path = `/api/v1/namespaces/${namespace}/configmaps`;
  const informer = makeInformer(config, path, list);
  informer.on("add", ({ metadata }) => void events.push(`add ${metadata?.name}`));
  informer.on("update", ({ metadata }) => void events.push(`update ${metadata?.name}`));
  informer.on("delete", ({ metadata }) => void events.push(`delete ${metadata?.name}`));
  await informer.start();
  try {
    expect(events).toContain("add kube-root-ca.crt");
    await core.createNamespacedConfigMap({ namespace, body: { metadata: { name: "informed" } } });
    await eventually("it was added", 60_000, async () => events.includes("add informed"));
    const body = { metadata: { name: "informed" }, data: { x: "y" } };
    await core.replaceNamespacedConfigMap({ namespace, name: "informed", body });
    await eventually("it was updated", 60_000, async () => events.includes("update informed"));
    await core.deleteNamespacedConfigMap({ namespace, name: "informed" });
    await eventually("it was deleted", 60_000, async () => events.includes("delete informed"));
  } finally {
    await informer.stop();
  }
});

test("exec gives output, errors and the exit status", async () => {
  const [stdout, stderr] = [new PassThrough(), new PassThrough()];
  const text = { out: "", err: "" };
  stdout.on("data", (chunk) => (text.out += String(chunk)));
  stderr.on("data", (chunk) => (text.err += String(chunk)));
  const command = ["sh", "-c", "read line; echo got $line; echo oops >&2; exit 4"];
  const stdin = new PassThrough();
  const status = await new Promise<V1Status>((resolve, reject) => {
    const exec = new Exec(config);
    webPod()
      .then((pod) =>
        exec.exec(namespace, pod, "web", command, stdout, stderr, stdin, false, resolve),
      )
      .then(() => stdin.end("input\n"))
      .catch(reject);
  });
  expect(status.status).toBe("Failure");
  expect(status.details?.causes?.[0]).toMatchObject({ reason: "ExitCode", message: "4" });
  expect(text).toEqual({ out: "got input\n", err: "oops\n" });
});

test("logs are streamed", async () => {
  const containers = [
    {
      name: "main",
      image: "bramble.local/web:1",
      imagePullPolicy: "Never",
      command: ["sh", "-c", "i=0; while true; do i=$((i+1)); echo line $i; sleep 0.1; done"],
    },
  ];
  const spec = { containers, terminationGracePeriodSeconds: 0 };
  await core.createNamespacedPod({ namespace, body: { metadata: { name: "logger" }, spec } });
  await cluster.must("wait", "--for=condition=Ready", "pod/logger", "--timeout=120s");
  const stream = new PassThrough();
  let text = "";
  stream.on("data", (chunk) => (text += String(chunk)));
  const options = { follow: true, tailLines: 1000 };
  const ended = new Promise((resolve) => stream.once("end", resolve));
  await new Log(config).log(namespace, "logger", "main", stream, options);
  await eventually("ten lines came", 60_000, async () => text.split("\n").length > 10);
  await core.deleteNamespacedPod({ namespace, name: "logger" });
  await ended;
  const lines = text.split("\n").slice(0, 10);
  expect(lines).toEqual(Array.from({ length: 10 }, (_, at) => `line ${at + 1}`));
}, 360_000);
