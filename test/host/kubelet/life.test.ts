/** More of the life of pods: order, policies, back-off, hooks, conditions, files of static pods. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { rmSync, writeFileSync } from "node:fs";
import { pods } from "#resources/kinds/pod.ts";
import type { Pod } from "#resources/types.gen.ts";
import {
  eventually,
  type HostKubelet,
  shell,
  startHostKubelet,
  statusOf,
  WAIT,
} from "#test/support/hostkubelet.ts";
import { imageTar } from "#test/support/images.ts";

setDefaultTimeout(300_000);

let k: HostKubelet;

beforeAll(async () => {
  k = await startHostKubelet("kubelet-life");
});

afterAll(async () => {
  await k.close();
});

const inDefault = (name: string) => ({ name, namespace: "default" });

const ended = (name: string) =>
  k.until(name, ({ status }) => ["Succeeded", "Failed"].includes(status?.phase ?? ""));

const condition = (pod: Pod | undefined, type: string) =>
  pod?.status?.conditions?.find((one) => one.type === type);

const idOf = (pod: Pod | undefined, name = "main") =>
  statusOf(pod, name)?.containerID?.replace("containerd://", "") ?? "";

test.concurrent("sidecars end after the main container, the last one first", async () => {
  const volumeMounts = [{ name: "d", mountPath: "/d" }];
  const say = (name: string) =>
    `trap 'echo ${name} >> /d/log; exit 0' TERM; while true; do sleep 0.1; done`;
  const sidecar = (name: string) =>
    shell(name, `${say(name)}`, { restartPolicy: "Always", volumeMounts });
  await k.create("sidecars", {
    restartPolicy: "Never",
    terminationGracePeriodSeconds: 20,
    volumes: [{ name: "d", hostPath: { path: `${k.dataDir}/order`, type: "DirectoryOrCreate" } }],
    initContainers: [sidecar("first"), sidecar("second"), sidecar("third")],
    containers: [shell("main", "sleep 1; echo main >> /d/log", { volumeMounts })],
  });
  const pod = await ended("sidecars");
  expect(pod.status?.phase).toBe("Succeeded");
  expect(await Bun.file(`${k.dataDir}/order/log`).text()).toBe("main\nthird\nsecond\nfirst\n");
});

test.concurrent("a sidecar that ends is started again beside the main container", async () => {
  const side = shell("side", WAIT, { restartPolicy: "Always" });
  await k.create("again", { initContainers: [side], containers: [shell("main", WAIT)] });
  const before = await k.ready("again");
  await k.host.runtime.signal(idOf(before, "side"), "SIGKILL");
  const after = await k.until(
    "again",
    (pod) => statusOf(pod, "side")?.restartCount === 1 && statusOf(pod, "side")?.ready === true,
  );
  expect(statusOf(after, "side")?.lastState?.terminated?.exitCode).toBe(137);
  expect(idOf(after)).toBe(idOf(before));
});

test.concurrent("policy OnFailure restarts what failed, and ends with success", async () => {
  const script = "if [ -f /d/x ]; then exit 0; fi; touch /d/x; exit 5";
  const volumeMounts = [{ name: "d", mountPath: "/d" }];
  await k.create("onfailure", {
    restartPolicy: "OnFailure",
    volumes: [{ name: "d", emptyDir: {} }],
    containers: [shell("main", script, { volumeMounts }), shell("done", "exit 0")],
  });
  const pod = await ended("onfailure");
  expect(pod.status?.phase).toBe("Succeeded");
  expect(statusOf(pod)?.restartCount).toBe(1);
  expect(statusOf(pod)?.lastState?.terminated?.exitCode).toBe(5);
  const done = statusOf(pod, "done");
  expect({ restarts: done?.restartCount, before: done?.lastState }).toEqual({
    restarts: 0,
    before: {},
  });
});

test.concurrent("the first restart is at once, the second after ten seconds", async () => {
  const volumeMounts = [{ name: "d", mountPath: "/d" }];
  await k.create("backoff", {
    volumes: [{ name: "d", hostPath: { path: `${k.dataDir}/times`, type: "DirectoryOrCreate" } }],
    containers: [shell("main", "cut -d' ' -f1 /proc/uptime >> /d/log; exit 1", { volumeMounts })],
  });
  const [first = 0, second = 0, third = 0] = await eventually("three runs", async () => {
    const file = Bun.file(`${k.dataDir}/times/log`);
    const lines = (await file.exists()) ? (await file.text()).trim().split("\n") : [];
    return lines.length >= 3 ? lines.map(Number) : undefined;
  });
  expect(third - second).toBeGreaterThan(9.9);
  // What a loaded machine takes for a start is in both.
  expect(second - first).toBeLessThan(third - second - 5);
  const told = "back-off 20s restarting failed container";
  const pod = await k.until(
    "backoff",
    (one) => statusOf(one)?.state?.waiting?.message?.startsWith(told) === true,
  );
  // Of its dead containers only the last one is kept.
  await eventually("one dead container", async () => {
    const all = await k.host.runtime.list();
    const own = all.filter(({ labels }) => labels["bramble.dev/uid"] === pod.metadata.uid);
    return own.length === 1 ? true : undefined;
  });
});

test.concurrent("hooks: preStop by HTTP, postStart by sleeping", async () => {
  const cgi = "mkdir -p /w/cgi-bin; printf '#!/bin/sh\\necho asked > /proc/1/fd/1\\necho\\n'";
  const serve = `${cgi} > /w/cgi-bin/bye; chmod +x /w/cgi-bin/bye; httpd -p 8080 -h /w; ${WAIT}`;
  const httpGet = { path: "/cgi-bin/bye", port: 8080 };
  const main = shell("main", serve, { lifecycle: { preStop: { httpGet } } });
  const late = shell("late", WAIT, { lifecycle: { postStart: { sleep: { seconds: 2 } } } });
  await k.create("morehooks", { terminationGracePeriodSeconds: 10, containers: [main, late] });
  const began = performance.now();
  const pod = await k.ready("morehooks");
  expect(performance.now() - began).toBeGreaterThan(2_000);
  expect(statusOf(pod, "late")?.started).toBe(true);
  const following = k.logs("morehooks", "follow=true");
  await k.remove("morehooks");
  expect(await following).toContain("asked");
});

test.concurrent("conditions tell how far a pod is, and which generation they saw", async () => {
  const volumeMounts = [{ name: "d", mountPath: "/d" }];
  const until = (file: string) => `until [ -f /d/${file} ]; do sleep 0.1; done`;
  const folder = `${k.dataDir}/steps`;
  await k.create("steps", {
    readinessGates: [{ conditionType: "example.com/gate" }],
    volumes: [{ name: "d", hostPath: { path: folder, type: "DirectoryOrCreate" } }],
    initContainers: [shell("init", until("init"), { volumeMounts })],
    containers: [
      shell("main", WAIT, {
        volumeMounts,
        readinessProbe: { exec: { command: ["test", "-f", "/d/main"] }, periodSeconds: 1 },
      }),
    ],
  });
  const types = ["PodScheduled", "PodReadyToStartContainers", "Initialized", "ContainersReady"];
  const look = (pod: Pod) => [...types, "Ready"].map((type) => condition(pod, type)?.status);
  const init = await k.until("steps", (pod) => statusOf(pod, "init")?.state?.running !== undefined);
  expect(look(init)).toEqual(["True", "True", "False", "False", "False"]);
  expect(init.status?.phase).toBe("Pending");
  expect(condition(init, "Initialized")).toMatchObject({
    reason: "ContainersNotInitialized",
    message: "containers with incomplete status: [init]",
  });
  writeFileSync(`${folder}/init`, "");
  const running = await k.until("steps", ({ status }) => status?.phase === "Running");
  expect(look(running)).toEqual(["True", "True", "True", "False", "False"]);
  expect(condition(running, "ContainersReady")?.message).toBe(
    "containers with unready status: [main]",
  );
  writeFileSync(`${folder}/main`, "");
  const waiting = await k.until(
    "steps",
    (pod) => condition(pod, "ContainersReady")?.status === "True",
  );
  expect(look(waiting).at(-1)).toBe("False");
  expect(condition(waiting, "Ready")?.reason).toBe("ReadinessGatesNotReady");
  const gate = { type: "example.com/gate", status: "True" };
  const ref = { subresource: "status" };
  await k.client.patch(
    pods,
    inDefault("steps"),
    "strategic",
    { status: { conditions: [gate] } },
    ref,
  );
  const ready = await k.ready("steps");
  expect(condition(ready, "example.com/gate")?.status).toBe("True");
  expect(ready.status?.observedGeneration).toBe(1);
  await k.client.patch(pods, inDefault("steps"), "strategic", {
    spec: { activeDeadlineSeconds: 1000 },
  });
  const seen = await k.until("steps", ({ status }) => status?.observedGeneration === 2);
  expect(seen.metadata.generation).toBe(2);
  expect(idOf(seen)).toBe(idOf(ready));
});

test.concurrent("another image is another container of the same pod", async () => {
  await k.create("hash", {});
  const before = await k.ready("hash");
  const image = "bramble.test/other:1";
  await k.host.runtime.load(await imageTar({ name: image, args: ["--env", "OTHER=1"] }));
  await k.client.patch(pods, inDefault("hash"), "strategic", {
    spec: { containers: [{ name: "main", image }] },
  });
  const after = await k.until(
    "hash",
    (pod) => statusOf(pod)?.restartCount === 1 && statusOf(pod)?.ready === true,
  );
  expect(idOf(after)).not.toBe(idOf(before));
  expect(await k.exec("hash", "echo $OTHER")).toBe("1\n");
  expect(after.status?.podIP).toBe(before.status?.podIP ?? "");
  await k.said("hash", "Killing", /definition changed/);
});

test.concurrent("a pod of a file runs without the API, which has a mirror of it", async () => {
  const file = `${k.dataDir}/manifests/static.yaml`;
  const write = (word: string) =>
    writeFileSync(
      file,
      JSON.stringify({
        apiVersion: "v1",
        kind: "Pod",
        metadata: { name: "static" },
        spec: {
          terminationGracePeriodSeconds: 1,
          containers: [shell("main", `echo ${word}; ${WAIT}`)],
        },
      }),
    );
  write("one");
  const name = "static-host1";
  const first = await k.ready(name);
  expect(first.metadata.annotations?.["kubernetes.io/config.source"]).toBe("file");
  const says = (word: string) =>
    eventually(word, async () => ((await k.logs(name)) === `${word}\n` ? true : undefined));
  await says("one");
  // Who deletes the mirror ends nothing.
  await k.client.delete(pods, inDefault(name), { gracePeriodSeconds: 0 });
  const again = await k.until(
    name,
    (pod) => pod.metadata.uid !== first.metadata.uid && statusOf(pod)?.ready === true,
  );
  expect(idOf(again)).toBe(idOf(first));
  write("two");
  await k.until(name, (pod) => idOf(pod) !== idOf(first) && statusOf(pod)?.ready === true);
  await says("two");
  rmSync(file);
  await k.gone(name);
  const left = async () =>
    (await k.host.runtime.list()).some(({ labels }) => labels["bramble.dev/pod"] === name);
  await eventually("its end", async () => ((await left()) ? undefined : true));
});
