/** The life of pods on real containers. Tests of one file share a kubelet and run side by side. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, readdirSync } from "node:fs";
import {
  eventually,
  type HostKubelet,
  shell,
  startHostKubelet,
  statusOf,
  WAIT,
} from "#test/support/hostkubelet.ts";

setDefaultTimeout(480_000);

let k: HostKubelet;

beforeAll(async () => {
  k = await startHostKubelet("kubelet-lifecycle");
});

afterAll(async () => {
  await k.close();
});

const ended = (name: string) =>
  k.until(name, ({ status }) => ["Succeeded", "Failed"].includes(status?.phase ?? ""));

test.concurrent("starts, answers and goes without a trace", async () => {
  const { metadata } = await k.create("trace", {});
  const pod = await k.ready("trace");
  expect(pod.status?.phase).toBe("Running");
  expect(pod.status?.podIP).toMatch(/^10\./);
  expect(await k.exec("trace", "hostname; ip -4 addr show eth0")).toContain(
    pod.status?.podIP ?? "no address",
  );
  await k.remove("trace");
  await eventually("an empty folder", () =>
    existsSync(`${k.dataDir}/pods/${metadata.uid}`) ? undefined : true,
  );
  const containers = await k.host.runtime.list();
  expect(containers.filter(({ labels }) => labels["bramble.dev/uid"] === metadata.uid)).toEqual([]);
  expect(readdirSync("/run/netns").filter((name) => name.includes(metadata.uid))).toEqual([]);
});

test.concurrent("tells how its container ended", async () => {
  const script = "echo out; echo told > /dev/termination-log; exit 3";
  await k.create("exit3", { restartPolicy: "Never", containers: [shell("main", script)] });
  const pod = await ended("exit3");
  expect(pod.status?.phase).toBe("Failed");
  expect(statusOf(pod)?.state?.terminated).toMatchObject({
    exitCode: 3,
    reason: "Error",
    message: "told\n",
  });
  expect(await k.logs("exit3")).toBe("out\n");
});

test.concurrent("takes the end of the log for a message where it was asked to", async () => {
  const container = shell("main", "echo because; exit 1", {
    terminationMessagePolicy: "FallbackToLogsOnError",
  });
  await k.create("fallback", { restartPolicy: "Never", containers: [container] });
  expect(statusOf(await ended("fallback"))?.state?.terminated?.message).toBe("because\n");
});

test.concurrent("is told to be out of memory", async () => {
  const container = shell("main", "tail /dev/zero", {
    resources: { limits: { memory: "16Mi" } },
  });
  await k.create("oom", { restartPolicy: "Never", containers: [container] });
  expect(statusOf(await ended("oom"))?.state?.terminated).toMatchObject({
    exitCode: 137,
    reason: "OOMKilled",
  });
});

test.concurrent("is restarted soon after its container died", async () => {
  await k.create("killed", {});
  const before = statusOf(await k.ready("killed"));
  const id = before?.containerID?.replace("containerd://", "") ?? "";
  const began = performance.now();
  await k.host.runtime.signal(id, "SIGKILL");
  const after = await k.until("killed", (pod) => (statusOf(pod)?.restartCount ?? 0) === 1);
  expect(performance.now() - began).toBeLessThan(45_000);
  expect(statusOf(after)?.lastState?.terminated?.exitCode).toBe(137);
  await k.ready("killed");
});

test.concurrent("that crashes again waits, and keeps its last log", async () => {
  const script = "echo run $$$$; exit 1";
  await k.create("crash", { containers: [shell("main", script)] });
  await k.until("crash", (pod) => statusOf(pod)?.state?.waiting?.reason === "CrashLoopBackOff");
  expect(await k.logs("crash", "previous=true")).toBe("run 1\n");
  const reasons = await eventually("the event", async () => {
    const all = await k.reasons("crash");
    return all.includes("BackOff") ? all : undefined;
  });
  expect(reasons.slice(0, 3)).toEqual(["Pulled", "Created", "Started"]);
});

test.concurrent("with a command that is not there fails to start", async () => {
  const container = { ...shell("main", ""), command: ["/nope"] };
  await k.create("nocommand", { restartPolicy: "Never", containers: [container] });
  const state = statusOf(await ended("nocommand"))?.state?.terminated;
  expect(state).toMatchObject({ exitCode: 128, reason: "StartError" });
  expect(state?.message).toContain("/nope");
});

test.concurrent("runs init containers in order, then sidecars beside the main one", async () => {
  const log = { name: "d", mountPath: "/d" };
  const step = (name: string, script: string, rest = {}) =>
    shell(name, script, { volumeMounts: [log], ...rest });
  await k.create("order", {
    restartPolicy: "Never",
    volumes: [{ name: "d", emptyDir: {} }],
    initContainers: [
      step("one", "echo one >> /d/log"),
      step("side", `echo side >> /d/log; ${WAIT}`, {
        restartPolicy: "Always",
        startupProbe: { exec: { command: ["grep", "side", "/d/log"] }, periodSeconds: 1 },
      }),
      step("two", "echo two >> /d/log"),
    ],
    containers: [step("main", "echo main >> /d/log; cat /d/log")],
  });
  const pod = await ended("order");
  expect(await k.logs("order")).toBe("one\nside\ntwo\nmain\n");
  expect(pod.status?.phase).toBe("Succeeded");
  expect(statusOf(pod, "side")?.state?.terminated?.exitCode).toBe(0);
});

test.concurrent("gets its signal, its hook and its grace", async () => {
  const script = "trap 'echo term; exit 7' TERM; echo up; while true; do sleep 0.1; done";
  const lifecycle = { preStop: { exec: { command: ["sh", "-c", "echo hook > /proc/1/fd/1"] } } };
  await k.create("grace", { containers: [shell("main", script, { lifecycle })] });
  await k.ready("grace");
  await eventually("the trap", async () => (await k.logs("grace")) || undefined);
  const following = k.logs("grace", "follow=true");
  await k.remove("grace", 5);
  expect(await following).toBe("up\nhook\nterm\n");
});

test.concurrent("that ignores the signal is killed after its grace", async () => {
  const script = "trap '' TERM; while true; do sleep 0.1; done";
  await k.create("deaf", { containers: [shell("main", script)] });
  await k.ready("deaf");
  const began = performance.now();
  await k.remove("deaf", 2);
  const tookMs = performance.now() - began;
  expect(tookMs).toBeGreaterThan(1_900);
  expect(tookMs).toBeLessThan(30_000);
});

test.concurrent("past its deadline has failed", async () => {
  await k.create("deadline", { activeDeadlineSeconds: 1 });
  const pod = await ended("deadline");
  expect(pod.status?.reason).toBe("DeadlineExceeded");
});

test.concurrent("whose postStart hook fails is restarted", async () => {
  const lifecycle = { postStart: { exec: { command: ["false"] } } };
  await k.create("post", { containers: [shell("main", WAIT, { lifecycle })] });
  await k.until("post", (pod) => (statusOf(pod)?.restartCount ?? 0) > 0);
  await k.told("post", "FailedPostStartHook");
});

test.concurrent("takes an ephemeral container for a look at its processes", async () => {
  await k.create("debug", { containers: [shell("main", WAIT)] });
  const pod = await k.ready("debug");
  const ephemeralContainers = [{ ...shell("look", "ps; hostname"), targetContainerName: "main" }];
  const path = "/api/v1/namespaces/default/pods/debug/ephemeralcontainers";
  const body = { spec: { ephemeralContainers }, metadata: { uid: pod.metadata.uid } };
  const request = new Request(`http://in.process${path}`, {
    method: "PATCH",
    headers: { "content-type": "application/strategic-merge-patch+json" },
    body: JSON.stringify(body),
  });
  expect((await k.client.fetch(request)).status).toBe(200);
  await k.until("debug", (one) => statusOf(one, "look")?.state?.terminated !== undefined);
  const text = await k.logs("debug", "", "look");
  expect(text).toContain("trap");
  expect(text).toContain("debug");
  expect(statusOf(await k.get("debug"))?.restartCount).toBe(0);
});

test.concurrent("may share its processes, and one that dies takes no other along", async () => {
  const containers = [shell("main", WAIT), shell("other", WAIT)];
  await k.create("shared", { shareProcessNamespace: true, containers });
  const before = await k.ready("shared");
  expect(await k.exec("shared", "ps")).toContain("/pause");
  const id = statusOf(before)?.containerID?.replace("containerd://", "") ?? "";
  await k.host.runtime.signal(id, "SIGKILL");
  const after = await k.until("shared", (pod) => statusOf(pod)?.restartCount === 1);
  expect(statusOf(after, "other")?.restartCount).toBe(0);
});

test.concurrent("of all kinds decide over readiness", async () => {
  const script = "mkdir /w; echo ok > /w/x; touch /ok; exec httpd -f -p 8080 -h /w";
  const patient = { periodSeconds: 1, timeoutSeconds: 30 };
  const container = (name: string, port: number, readinessProbe: object) =>
    shell(name, script.replace("8080", String(port)), { readinessProbe });
  await k.create("probes", {
    containers: [
      container("main", 8080, { httpGet: { path: "/x", port: 8080 }, periodSeconds: 1 }),
      container("tcp", 8081, { tcpSocket: { port: 8081 }, ...patient }),
      container("exec", 8082, { exec: { command: ["cat", "/ok"] }, ...patient }),
    ],
  });
  await k.ready("probes");
  await k.exec("probes", "rm /w/x");
  const pod = await k.until("probes", (one) => statusOf(one)?.ready === false);
  expect(statusOf(pod, "tcp")?.ready).toBe(true);
  expect(statusOf(pod, "exec")?.ready).toBe(true);
});

test.concurrent("restart a container that is no longer alive", async () => {
  const script = "mkdir /w; echo ok > /w/x; exec httpd -f -p 8080 -h /w";
  const livenessProbe = {
    httpGet: { path: "/x", port: 8080, httpHeaders: [{ name: "X-Probe", value: "1" }] },
    periodSeconds: 1,
    timeoutSeconds: 30,
    failureThreshold: 2,
    terminationGracePeriodSeconds: 1,
  };
  await k.create("alive", { containers: [shell("main", script, { livenessProbe })] });
  await k.ready("alive");
  await k.exec("alive", "rm /w/x");
  await k.until("alive", (pod) => (statusOf(pod)?.restartCount ?? 0) > 0);
  await k.told("alive", "Unhealthy");
  await k.told("alive", "Killing");
});
