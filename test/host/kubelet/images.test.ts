/** Images of pods from a real registry with TLS and a password, and from files of the node. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { copyFileSync, mkdirSync, renameSync } from "node:fs";
import { limits } from "#base/limits.ts";
import { type Run, runProcess } from "#base/process.ts";
import { secrets } from "#resources/kinds/secret.ts";
import type { Pod, PodSpec } from "#resources/types.gen.ts";
import {
  type HostKubelet,
  shell,
  startHostKubelet,
  statusOf,
  WAIT,
} from "#test/support/hostkubelet.ts";
import { imageTar } from "#test/support/images.ts";
import { startRegistry, type TestRegistry } from "#test/support/registry.ts";

setDefaultTimeout(300_000);

const MANY = 6;

let k: HostKubelet;
let registry: TestRegistry;
/** Names that were pulled, and how many pulls were under way at most. */
const pulls: string[] = [];
let pulling = 0;
let atMost = 0;

const counting: Run = async (argv, options) => {
  if (!argv.includes("pull")) return runProcess(argv, options);
  pulls.push(argv.at(-1) ?? "");
  atMost = Math.max(atMost, ++pulling);
  try {
    return await runProcess(argv, options);
  } finally {
    pulling--;
  }
};

beforeAll(async () => {
  registry = await startRegistry();
  const runtime = { hostsDirs: [registry.hostsDir], run: counting };
  k = await startHostKubelet("kubelet-images", { runtime });
  const tar = await imageTar({ name: "bramble.test/pulled:1", args: ["--env", "PULLED=1"] });
  const names = ["pods/one:1", "pods/again:1", "pods/late:1", "pods/digest:1", "pods/pinned:1"];
  for (const name of names) await registry.push(tar, name);
  for (let at = 0; at < MANY; at++) {
    const args = ["--env", `MANY=${at}`];
    await registry.push(await imageTar({ name: `bramble.test/many:${at}`, args }), `many/m${at}:1`);
  }
  const auth = btoa(`${registry.username}:${registry.password}`);
  const config = JSON.stringify({ auths: { [registry.host]: { auth } } });
  await k.client.create(secrets, {
    metadata: { name: "registry", namespace: "default" },
    type: "kubernetes.io/dockerconfigjson",
    data: { ".dockerconfigjson": btoa(config) },
  });
});

afterAll(async () => {
  await k?.close();
  await registry?.close();
});

const nameOf = (path: string) => `${registry.host}/${path}`;

const of = (image: string, rest: Partial<PodSpec> = {}, imagePullPolicy = "IfNotPresent") => ({
  imagePullSecrets: [{ name: "registry" }],
  containers: [{ ...shell("main", WAIT), image, imagePullPolicy }],
  ...rest,
});

const count = (name: string) => pulls.filter((one) => one.includes(name)).length;

const waiting = (pod: Pod | undefined) => statusOf(pod)?.state?.waiting?.reason;

test.concurrent("a Secret opens the registry, and events tell of the pull", async () => {
  const image = nameOf("pods/one:1");
  await k.create("one", of(image));
  const pod = await k.ready("one");
  expect(await k.exec("one", "echo $PULLED")).toBe("1\n");
  expect(statusOf(pod)?.image).toBe(image);
  expect(statusOf(pod)?.imageID).toMatch(/pods\/one@sha256:[0-9a-f]{64}$/);
  await k.told("one", "Started");
  expect((await k.reasons("one")).slice(0, 4)).toEqual(["Pulling", "Pulled", "Created", "Started"]);
  expect(await k.said("one", "Pulling")).toBe(`Pulling image "${image}"`);
  expect(await k.said("one", "Pulled")).toMatch(
    /^Successfully pulled image ".*" in \d+ms \(\d+ms including waiting\)\. Image size: \d+ bytes/,
  );
  // Now it is there: nobody needs a Secret, or the registry.
  await k.create("present", of(image, { imagePullSecrets: [] }));
  await k.create("never", of(image, { imagePullSecrets: [] }, "Never"));
  await k.ready("present");
  await k.ready("never");
  await k.said("present", "Pulled", /already present on machine/);
  expect(count("pods/one")).toBe(1);
});

test.concurrent("policy Always asks the registry for every run", async () => {
  const image = nameOf("pods/again:1");
  await k.create("always", of(image, {}, "Always"));
  const pod = await k.ready("always");
  expect(count("pods/again")).toBe(1);
  const id = statusOf(pod)?.containerID?.replace("containerd://", "") ?? "";
  await k.host.runtime.signal(id, "SIGKILL");
  await k.until(
    "always",
    (one) => statusOf(one)?.restartCount === 1 && statusOf(one)?.ready === true,
  );
  expect(count("pods/again")).toBe(2);
});

test.concurrent("without a password it backs off, and comes once it has one", async () => {
  await k.create("late", of(nameOf("pods/late:1"), { imagePullSecrets: [{ name: "later" }] }));
  const pod = await k.until("late", (one) => waiting(one) === "ImagePullBackOff");
  expect(statusOf(pod)?.state?.waiting?.message).toStartWith("Back-off pulling image");
  await k.said("late", "Failed", /Failed to pull image .*(401|authorization|basic auth)/i);
  await k.said("late", "Failed", /Error: ErrImagePull/);
  const secret = await k.client.get(secrets, { name: "registry", namespace: "default" });
  await k.client.create(secrets, {
    metadata: { name: "later", namespace: "default" },
    type: "kubernetes.io/dockerconfigjson",
    data: secret?.data ?? {},
  });
  await k.ready("late");
});

test.concurrent("what cannot be is told by its reason", async () => {
  const cases: Array<[name: string, image: string, policy: string, reason: string]> = [
    ["absent", "bramble.test/absent:1", "Never", "ErrImageNeverPull"],
    ["invalid", "Not/A:Name:x", "IfNotPresent", "InvalidImageName"],
    ["unknown", nameOf("pods/unknown:1"), "IfNotPresent", "ImagePullBackOff"],
  ];
  for (const [name, image, policy] of cases) await k.create(name, of(image, {}, policy));
  for (const [name, , , reason] of cases) {
    const pod = await k.until(name, (one) => waiting(one) === reason);
    expect(pod.status?.phase).toBe("Pending");
  }
  await k.said("unknown", "Failed", /not found/);
  await k.said("absent", "ErrImageNeverPull", /is not present with pull policy of Never/);
});

test.concurrent("many at once are pulled a few at a time, one pull for all who wait", async () => {
  const spec = (at: number) => of(nameOf(`many/m${at}:1`));
  const names: string[] = [];
  for (let at = 0; at < MANY; at++) {
    for (const which of ["a", "b"]) names.push(`many-${at}${which}`);
    await Promise.all(["a", "b"].map((which) => k.create(`many-${at}${which}`, spec(at))));
  }
  for (const name of names) await k.ready(name);
  for (let at = 0; at < MANY; at++) expect(count(`many/m${at}:`)).toBeWithin(1, 3);
  // Who looked before the other's pull was over, and asks after it, has one of its own.
  expect(count("many/")).toBeLessThan(1.5 * MANY);
  expect(atMost).toBeLessThanOrEqual(limits.imagePullsMax);
  expect(atMost).toBeGreaterThan(1);
});

test.concurrent("a digest that came by a tag is there, with and without the tag", async () => {
  await k.create("tag", of(nameOf("pods/digest:1")));
  const id = statusOf(await k.ready("tag"))?.imageID ?? "";
  expect(id).toContain("pods/digest@sha256:");
  const digest = id.slice(id.indexOf("@"));
  // Nobody who has no password could pull it.
  const none = { imagePullSecrets: [] };
  await k.create("digest", of(`${nameOf("pods/digest")}${digest}`, none));
  await k.create("both", of(`${nameOf("pods/digest:1")}${digest}`, none, "Never"));
  // The same content under another name is another image.
  await k.create("other", of(`${nameOf("pods/other")}${digest}`, none, "Never"));
  for (const name of ["digest", "both"]) {
    const status = statusOf(await k.ready(name));
    expect(status).toMatchObject({ imageID: id, image: nameOf("pods/digest:1") });
    await k.said(name, "Pulled", /already present on machine/);
  }
  await k.until("other", (one) => waiting(one) === "ErrImageNeverPull");
  expect(count("pods/digest")).toBe(1);
});

test.concurrent("a digest that is not there is pulled", async () => {
  const [name, options] = [
    nameOf("pods/pinned"),
    ["--tls-verify=false", "--format", "{{.Digest}}"],
  ];
  const credentials = ["--creds", `${registry.username}:${registry.password}`];
  const argv = ["skopeo", "inspect", ...options, ...credentials, `docker://${name}:1`];
  const digest = (await runProcess(argv)).stdout.trim();
  await k.create("pinned", of(`${name}@${digest}`));
  const status = statusOf(await k.ready("pinned"));
  expect(status?.imageID).toBe(`${name}@${digest}`);
  await k.said("pinned", "Pulled", /Successfully pulled/);
});

test.concurrent("tars in the node's folder are there without a registry", async () => {
  const name = "bramble.test/preloaded:1";
  const tar = await imageTar({ name, args: ["--env", "PRELOADED=1"] });
  mkdirSync(`${k.dataDir}/images`, { recursive: true });
  await k.create("preloaded", of(name, {}, "Never"));
  await k.until("preloaded", (pod) => waiting(pod) === "ErrImageNeverPull");
  copyFileSync(tar, `${k.dataDir}/images/preloaded.part`);
  renameSync(`${k.dataDir}/images/preloaded.part`, `${k.dataDir}/images/preloaded.tar`);
  await k.ready("preloaded");
  expect(await k.exec("preloaded", "echo $PRELOADED")).toBe("1\n");
});
