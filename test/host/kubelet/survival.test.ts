/** What an agent that dies leaves, and the next one finds. Tests run one after the other. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { readdirSync } from "node:fs";
import { pods } from "#resources/kinds/pod.ts";
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
  k = await startHostKubelet("kubelet-survival");
});

afterAll(async () => {
  await k.close();
});

const COUNT = "i=0; while true; do echo $i; i=$((i+1)); sleep 0.02; done";

test("a new agent takes over running containers and their logs without a gap", async () => {
  await k.create("count", { containers: [shell("main", COUNT)] });
  const before = await k.ready("count");
  await k.restart();
  await k.create("after", {});
  await k.ready("after");
  const after = await k.get("count");
  expect(after?.status).toEqual(before.status);
  const lines = await eventually("some lines", async () => {
    const all = (await k.logs("count")).trim().split("\n").map(Number);
    return all.length > 50 ? all : undefined;
  });
  expect(lines).toEqual(lines.map((_, i) => i));
  await k.remove("count", 0);
  await k.remove("after", 0);
});

test("an exit between two agents is seen, also of a pod that was deleted meanwhile", async () => {
  await k.create("dies", {
    restartPolicy: "Never",
    containers: [shell("main", "sleep 0.5; exit 4")],
  });
  await k.create("goes", {});
  await k.until("dies", (pod) => statusOf(pod)?.state?.running !== undefined);
  const { metadata } = await k.ready("goes");
  await k.kubelet.stop();
  await k.client.delete(pods, { namespace: "default", name: "goes" }, { gracePeriodSeconds: 0 });
  await eventually("the exit", async () =>
    (await k.host.runtime.list()).some(({ state }) => state === "exited") ? true : undefined,
  );
  await k.restart();
  const pod = await k.until("dies", ({ status }) => status?.phase === "Failed");
  expect(statusOf(pod)?.state?.terminated?.exitCode).toBe(4);
  await eventually("a node without the deleted pod", async () => {
    const containers = await k.host.runtime.list();
    const left = containers.some(({ labels }) => labels["bramble.dev/uid"] === metadata.uid);
    return left || readdirSync("/run/netns").some((name) => name.includes(metadata.uid))
      ? undefined
      : true;
  });
  await k.remove("dies", 0);
});

test("containerd killed and started again changes nothing for pods", async () => {
  await k.create("stays", {});
  const before = await k.ready("stays");
  await k.host.containerd.kill();
  await k.host.containerd.start();
  await eventually("a kubelet that works again", async () => {
    const name = "probe-again";
    if ((await k.get(name)) === undefined)
      await k.create(name, { containers: [shell("main", WAIT)] });
    const pod = await k.get(name);
    return statusOf(pod)?.ready === true ? true : undefined;
  });
  expect((await k.get("stays"))?.status).toEqual(before.status);
  const id = statusOf(before)?.containerID?.replace("containerd://", "") ?? "";
  await k.host.runtime.signal(id, "SIGKILL");
  await k.until("stays", (pod) => (statusOf(pod)?.restartCount ?? 0) === 1);
});

test("an exit while containerd is down is seen", async () => {
  const script = "trap 'echo bye; exit 4' TERM; echo up; while true; do sleep 0.05; done";
  await k.create("once", { restartPolicy: "Never", containers: [shell("main", script)] });
  await k.create("again", { containers: [shell("main", script)] });
  const ids: Array<string | undefined> = [];
  const logged = (name: string, text: string) =>
    eventually(`${text} of ${name}`, async () => (await k.logs(name)).includes(text) || undefined);
  for (const name of ["once", "again"]) {
    ids.push(statusOf(await k.ready(name))?.containerID?.replace("containerd://", ""));
    await logged(name, "up");
  }
  const running = (await k.host.runtime.list()).filter(({ id }) => ids.includes(id));
  expect(running.length).toBe(2);
  await k.host.containerd.kill();
  for (const { pid = 0 } of running) process.kill(pid, "SIGTERM");
  for (const name of ["once", "again"]) await logged(name, "bye");
  await k.host.containerd.start();
  const once = await k.until("once", ({ status }) => status?.phase === "Failed");
  // From 1.7 on containerd removes what ended while it was down, and the exit code with it.
  const keeps = (await k.host.runtime.version()).startsWith("containerd://1.6.");
  expect(statusOf(once)?.state?.terminated).toMatchObject(
    keeps ? { exitCode: 4 } : { exitCode: 137, reason: "ContainerStatusUnknown" },
  );
  expect(statusOf(once)?.restartCount).toBe(0);
  await k.until("again", (pod) => {
    const status = statusOf(pod);
    return status?.restartCount === 1 && status.ready === true;
  });
  expect(await k.logs("again", "previous=true")).toBe("up\nbye\n");
  await k.remove("once", 0);
  await k.remove("again", 0);
});

test("after a power cut the pods come back, and nothing stale stays", async () => {
  const initContainers = [
    shell("init", "echo ran >> /d/log", { volumeMounts: [{ name: "d", mountPath: "/d" }] }),
  ];
  const main = shell("main", WAIT, { volumeMounts: [{ name: "d", mountPath: "/d" }] });
  await k.create("back", {
    volumes: [{ name: "d", emptyDir: {} }],
    initContainers,
    containers: [main],
  });
  await k.create("over", { restartPolicy: "Never" });
  const before = await k.ready("back");
  await k.ready("over");
  const began = performance.now();
  await k.restart({ reboot: true });
  const back = await k.until(
    "back",
    (pod) => statusOf(pod)?.restartCount === 1 && statusOf(pod)?.ready === true,
  );
  const tookMs = performance.now() - began;
  expect(statusOf(back)?.lastState?.terminated).toMatchObject({ exitCode: 255, reason: "Unknown" });
  expect(back.status?.podIPs?.length).toBe(1);
  expect(await k.exec("back", "cat /d/log")).toBe("ran\nran\n");
  const over = await k.until("over", ({ status }) => status?.phase === "Failed");
  expect(statusOf(over)?.restartCount).toBe(0);
  expect(tookMs).toBeLessThan(60_000);
  const uids = [before.metadata.uid];
  await eventually("only what is needed", async () => {
    const ours = readdirSync("/run/netns").filter((name) =>
      name.startsWith(`bramble_t${process.pid}_`),
    );
    const containers = await k.host.runtime.list();
    const stale = containers.filter(({ state }) => state !== "running");
    return ours.length === uids.length + others() && stale.length === 0 ? true : undefined;
  });
});

/** Pods of the tests before that still run. */
const others = (): number =>
  [...k.kubelet.workers.values()].filter(
    ({ record }) => record.name !== "back" && record.sandbox !== undefined && !record.cleaned,
  ).length;
