import { afterEach, beforeEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { rmSync, writeFileSync } from "node:fs";
import { limits } from "#base/limits.ts";
import { configMaps } from "#resources/kinds/configmap.ts";
import { nodes } from "#resources/kinds/node.ts";
import { pods } from "#resources/kinds/pod.ts";
import type { Pod } from "#resources/types.gen.ts";
import { type Bench, container, NODE, startBench } from "#test/support/kubelet.ts";

setDefaultTimeout(240_000);

let bench: Bench;

beforeEach(async () => {
  bench = await startBench();
});

afterEach(async () => {
  await bench.close();
});

const condition = (pod: Pod | undefined, type: string) =>
  pod?.status?.conditions?.find((one) => one.type === type)?.status;

const mainState = (pod: Pod | undefined) => pod?.status?.containerStatuses?.[0]?.state;

describe("the life of a pod", () => {
  test("it becomes ready with one write of its status", async () => {
    await bench.create("web", {});
    await bench.settle();
    const pod = await bench.get("web");
    expect(pod?.status?.phase).toBe("Running");
    expect(condition(pod, "Ready")).toBe("True");
    expect(pod?.status?.podIP).toBe("10.42.0.2");
    expect(pod?.status?.hostIP).toBe("192.168.7.1");
    expect(pod?.status?.containerStatuses?.[0]?.containerID).toBe("containerd://c1");
    expect(bench.statusWrites).toEqual(["web"]);
  });

  test("one that runs to its end has succeeded and leaves nothing on the node", async () => {
    await bench.create("job", { restartPolicy: "Never" });
    bench.runtime.end("main", 0);
    await bench.settle();
    await bench.advance(5_000);
    const pod = await bench.get("job");
    expect(pod?.status?.phase).toBe("Succeeded");
    expect(mainState(pod)?.terminated?.reason).toBe("Completed");
    expect(bench.runtime.size).toBe(0);
    expect(bench.network.attached.size).toBe(0);
  });

  test("a dead container that cannot be removed keeps no other on the node", async () => {
    await bench.create("stuck", { containers: [container("stuck")] });
    await bench.create("web", { containers: [container("web")] });
    bench.runtime.fault = async (call, subject) => {
      if (call === "remove" && subject.includes("stuck")) throw new Error("device busy");
    };
    for (const name of ["stuck", "web"]) bench.runtime.end(name, 1);
    await bench.advance(10_000);
    expect(bench.runtime.running().sort()).toEqual(["stuck", "web"]);
    expect(bench.runtime.size).toBe(3);
    bench.runtime.fault = undefined;
    await bench.advance(10_000);
    expect(bench.runtime.size).toBe(2);
  });

  test("a failing container is restarted at once, then with a growing delay", async () => {
    await bench.create("web", {});
    bench.runtime.end("main", 1);
    await bench.advance(0);
    expect(bench.runtime.running()).toEqual(["main"]);
    bench.runtime.end("main", 1);
    await bench.advance(1_000);
    const pod = await bench.get("web");
    expect(mainState(pod)?.waiting?.reason).toBe("CrashLoopBackOff");
    expect(mainState(pod)?.waiting?.message).toStartWith(
      "back-off 10s restarting failed container",
    );
    expect(pod?.status?.containerStatuses?.[0]?.lastState?.terminated?.exitCode).toBe(1);
    await bench.advance(8_000);
    expect(bench.runtime.running()).toEqual([]);
    await bench.advance(1_100);
    expect(bench.runtime.running()).toEqual(["main"]);
    expect((await bench.get("web"))?.status?.containerStatuses?.[0]?.restartCount).toBe(2);
  });

  test("a deleted pod gets its grace and is gone", async () => {
    bench.runtime.stubborn.add("main");
    await bench.create("web", { terminationGracePeriodSeconds: 5 });
    await bench.client.delete(pods, { namespace: "default", name: "web" });
    await bench.advance(4_000);
    expect(bench.runtime.running()).toEqual(["main"]);
    expect((await bench.get("web"))?.metadata.deletionTimestamp).toBeDefined();
    await bench.advance(1_500);
    expect(await bench.get("web")).toBeUndefined();
    expect(bench.runtime.calls.filter((call) => call.startsWith("signal"))).toEqual([
      "signal main SIGTERM",
      "signal main SIGKILL",
    ]);
    expect(bench.runtime.size).toBe(0);
    expect(bench.network.attached.size).toBe(0);
    expect(bench.kubelet.workers.size).toBe(0);
  });

  test("init containers run in order before the main one", async () => {
    await bench.create("web", { initContainers: [container("a"), container("b")] });
    expect(bench.runtime.running()).toEqual(["a"]);
    await bench.advance(600);
    const pending = await bench.get("web");
    expect(pending?.status?.phase).toBe("Pending");
    expect(mainState(pending)?.waiting?.reason).toBe("PodInitializing");
    bench.runtime.end("a", 0);
    await bench.settle();
    bench.runtime.end("b", 0);
    await bench.settle();
    expect(bench.runtime.running()).toEqual(["main"]);
    expect((await bench.get("web"))?.status?.phase).toBe("Running");
  });

  test("a sidecar starts before and stops after the main container", async () => {
    const sidecar = container("side", { restartPolicy: "Always" });
    await bench.create("web", { initContainers: [sidecar], restartPolicy: "Never" });
    expect(bench.runtime.running()).toEqual(["side", "main"]);
    bench.runtime.end("main", 0);
    await bench.advance(100);
    expect(bench.runtime.calls).toContain("signal side SIGTERM");
    expect((await bench.get("web"))?.status?.phase).toBe("Succeeded");
  });

  test("an image that does not exist backs off, and is pulled once it does", async () => {
    await bench.create("web", { containers: [container("main", { image: "app:2" })] });
    await bench.settle();
    expect(mainState(await bench.get("web"))?.waiting?.reason).toBe("ErrImagePull");
    await bench.advance(2_000);
    expect(mainState(await bench.get("web"))?.waiting?.reason).toBe("ImagePullBackOff");
    bench.runtime.registry.add("app:2");
    await bench.advance(8_100);
    expect(bench.runtime.running()).toEqual(["main"]);
    expect((await bench.get("web"))?.status?.phase).toBe("Running");
  });

  test("a program that cannot be run counts as one that ended", async () => {
    const { RuntimeError } = await import("#agents/runtime/runtime.ts");
    bench.runtime.fault = (call) => {
      if (call === "run") throw new RuntimeError("RunContainerError", "no such file: /x");
      return undefined;
    };
    await bench.create("web", { restartPolicy: "Never" });
    await bench.advance(1_000);
    const pod = await bench.get("web");
    expect(pod?.status?.phase).toBe("Failed");
    expect(mainState(pod)?.terminated).toMatchObject({ reason: "StartError", exitCode: 128 });
  });

  test("a killed container is told as OOMKilled", async () => {
    await bench.create("web", { restartPolicy: "Never" });
    bench.runtime.end("main", 137, { oom: true });
    await bench.settle();
    const pod = await bench.get("web");
    expect(mainState(pod)?.terminated?.reason).toBe("OOMKilled");
    expect(pod?.status?.phase).toBe("Failed");
  });

  test("a failing liveness probe restarts the container", async () => {
    const livenessProbe = { exec: { command: ["true"] }, periodSeconds: 5, failureThreshold: 2 };
    await bench.create("web", { containers: [container("main", { livenessProbe })] });
    bench.probe = () => ({ ok: false, message: "sick" });
    await bench.advance(11_000);
    expect(bench.runtime.calls).toContain("signal main SIGTERM");
    expect((await bench.get("web"))?.status?.containerStatuses?.[0]?.restartCount).toBe(1);
  });

  test("a readiness probe decides over Ready", async () => {
    let ok = false;
    bench.probe = () => ({ ok, message: "" });
    const readinessProbe = { httpGet: { port: 80 }, periodSeconds: 2, failureThreshold: 1 };
    await bench.create("web", { containers: [container("main", { readinessProbe })] });
    await bench.advance(500);
    expect(condition(await bench.get("web"), "Ready")).toBe("False");
    ok = true;
    await bench.advance(2_500);
    expect(condition(await bench.get("web"), "Ready")).toBe("True");
    ok = false;
    await bench.advance(2_500);
    expect(condition(await bench.get("web"), "Ready")).toBe("False");
  });

  test("a pod past its deadline has failed", async () => {
    await bench.create("web", { activeDeadlineSeconds: 10 });
    await bench.advance(11_000);
    const pod = await bench.get("web");
    expect(pod?.status?.phase).toBe("Failed");
    expect(pod?.status?.reason).toBe("DeadlineExceeded");
    expect(bench.runtime.size).toBe(0);
  });
});

describe("a new agent", () => {
  test("adopts what runs and restarts nothing", async () => {
    await bench.create("web", {});
    const before = await bench.get("web");
    const runs = bench.runtime.calls.filter((call) => call.startsWith("run")).length;
    await bench.restart();
    await bench.advance(5_000);
    expect(bench.runtime.running()).toEqual(["main"]);
    expect(bench.runtime.calls.filter((call) => call.startsWith("run")).length).toBe(runs);
    expect((await bench.get("web"))?.status).toEqual(before?.status);
  });

  test("sees an exit that it missed", async () => {
    await bench.create("job", { restartPolicy: "Never" });
    await bench.kubelet.stop();
    bench.runtime.end("main", 3);
    await bench.restart();
    await bench.advance(100);
    const pod = await bench.get("job");
    expect(pod?.status?.phase).toBe("Failed");
    expect(mainState(pod)?.terminated?.exitCode).toBe(3);
  });

  test("after a power cut clears what is stale and starts the pods again", async () => {
    await bench.create("web", { initContainers: [container("a")] });
    bench.runtime.end("a", 0);
    await bench.settle();
    await bench.restart({ reboot: true });
    await bench.settle();
    expect(bench.runtime.running()).toEqual(["a"]);
    bench.runtime.end("a", 0);
    await bench.advance(5_000);
    const pod = await bench.get("web");
    expect(bench.runtime.running()).toEqual(["main"]);
    expect(bench.runtime.size).toBe(1);
    expect(pod?.status?.containerStatuses?.[0]?.restartCount).toBe(1);
    expect(pod?.status?.podIPs?.length).toBe(1);
    expect(pod?.status?.containerStatuses?.[0]?.lastState?.terminated?.exitCode).toBe(255);
  });

  test("after a power cut lets no pod wait for the removal of dead containers", async () => {
    await bench.create("web", {});
    const removed = Promise.withResolvers<void>();
    bench.runtime.fault = (call) => (call === "remove" ? removed.promise : undefined);
    await bench.restart({ reboot: true });
    await bench.advance(5_000);
    expect(bench.runtime.running()).toEqual(["main"]);
    expect(bench.runtime.size).toBe(2);
    removed.resolve();
    await bench.settle();
    expect(bench.runtime.size).toBe(1);
  });

  test("that finds another boot's containers running ends them first", async () => {
    await bench.create("web", {});
    const before = bench.runtime.calls.length;
    // The note of this boot did not reach the disk.
    bench.bootId = "another";
    await bench.restart();
    await bench.advance(5_000);
    const calls = bench.runtime.calls.slice(before).filter((call) => /^(run|remove) m/.test(call));
    expect(calls).toEqual(["remove main", "run main"]);
    expect(bench.runtime.size).toBe(1);
  });

  test("removes the containers of a pod that was deleted meanwhile", async () => {
    await bench.create("web", {});
    await bench.kubelet.stop();
    const options = { gracePeriodSeconds: 0 };
    await bench.client.delete(pods, { namespace: "default", name: "web" }, options);
    await bench.restart();
    await bench.advance(5_000);
    expect(bench.runtime.size).toBe(0);
    expect(bench.network.attached.size).toBe(0);
  });
});

test("a pod that is deleted while it is adopted leaves nothing", async () => {
  await bench.create("web", {});
  const { network } = bench;
  const attached = await network.list();
  network.list = async () => {
    const ref = { namespace: "default", name: "web" };
    await bench.client.delete(pods, ref, { gracePeriodSeconds: 0 });
    // The new agent has heard of it by then.
    for (let turns = 0; turns < 20; turns++) await new Promise((next) => setTimeout(next, 1));
    return attached;
  };
  await bench.restart();
  await bench.advance(5_000);
  expect(bench.runtime.size).toBe(0);
  expect(network.attached.size).toBe(0);
});

describe("a runtime that misbehaves", () => {
  test("a lost exit event is found by looking at all containers", async () => {
    await bench.create("web", {});
    bench.runtime.deaf = true;
    bench.runtime.end("main", 1);
    bench.runtime.deaf = false;
    await bench.settle();
    bench.runtime.reconnect();
    await bench.settle();
    expect(bench.runtime.running()).toEqual(["main"]);
  });

  test("a container that ends before its start is answered is not lost", async () => {
    bench.runtime.started = ({ id }) => {
      bench.runtime.started = undefined;
      expect(id).toBe("c1");
      bench.runtime.end("main", 0);
    };
    await bench.create("job", { restartPolicy: "Never" });
    await bench.settle();
    expect((await bench.get("job"))?.status?.phase).toBe("Succeeded");
  });

  test("one that cannot be killed holds up its own pod alone", async () => {
    bench.runtime.immortal.add("bad");
    await bench.create("bad", {
      containers: [container("bad")],
      terminationGracePeriodSeconds: 1,
    });
    await bench.client.delete(pods, { namespace: "default", name: "bad" });
    await bench.advance(30_000);
    expect((await bench.get("bad"))?.metadata.deletionTimestamp).toBeDefined();
    await bench.create("good", {});
    expect((await bench.get("good"))?.status?.phase).toBe("Running");
    bench.runtime.immortal.clear();
    await bench.advance(15_000);
    expect(await bench.get("bad")).toBeUndefined();
  });
});

/** What comes of real files and folders takes its time, whatever the clock shows. */
async function until(what: () => boolean | Promise<boolean>, stepMs = 250): Promise<void> {
  const end = performance.now() + 60_000;
  while (!(await what())) {
    if (performance.now() > end) throw new Error("it did not come to that");
    await bench.advance(stepMs);
  }
}

test("what is left of a forgotten pod gives way to starts, for a while", async () => {
  await bench.create("old", { containers: [container("old")] });
  const start = Promise.withResolvers<void>();
  bench.runtime.fault = (call, subject) =>
    call === "run" && subject === "new" ? start.promise : undefined;
  bench.holds = true;
  await bench.create("new", { containers: [container("new")] });
  await until(() => bench.runtime.calls.includes("run new"), 0);
  await bench.client.delete(pods, { namespace: "default", name: "old" }, { gracePeriodSeconds: 0 });
  await bench.advance(limits.podCleanupYieldMsMax - 500);
  expect(bench.network.attached.size).toBe(2);
  await until(() => bench.network.attached.size === 1);
  bench.holds = false;
  start.resolve();
  await bench.settle();
  expect((await bench.get("new"))?.status?.phase).toBe("Running");
});

describe("a static pod", () => {
  const file = () => `${bench.dataDir}/manifests/web.yaml`;
  const write = (image: string) =>
    writeFileSync(
      file(),
      `{kind: Pod, metadata: {name: web}, spec: {terminationGracePeriodSeconds: 1,
        containers: [{name: main, image: "${image}"}]}}`,
    );

  const running = async (name: string) => (await bench.get(name))?.status?.phase === "Running";

  test("runs from its file, and the API shows a mirror", async () => {
    write("busybox:1");
    await until(() => running("web-n1"));
    const mirror = await bench.get("web-n1");
    expect(mirror?.metadata.annotations?.["kubernetes.io/config.source"]).toBe("file");
    expect(mirror?.metadata.ownerReferences?.[0]?.kind).toBe("Node");
    expect(condition(mirror, "Ready")).toBe("True");
    expect(bench.runtime.running()).toEqual(["main"]);
  });

  test("goes on when its mirror is deleted, which is made again", async () => {
    write("busybox:1");
    await until(() => running("web-n1"));
    const before = await bench.get("web-n1");
    await bench.client.delete(pods, { namespace: "default", name: "web-n1" });
    await until(async () => {
      const now = await bench.get("web-n1");
      return now?.metadata.uid !== before?.metadata.uid && now?.status?.phase === "Running";
    });
    expect(bench.runtime.calls.filter((call) => call.startsWith("run"))).toEqual(["run main"]);
  });

  test("is replaced with its file, adopted by the next agent, and ends with the file", async () => {
    write("busybox:1");
    await until(() => running("web-n1"));
    await bench.restart();
    await bench.advance(1_000);
    expect(bench.runtime.calls.filter((call) => call.startsWith("run"))).toEqual(["run main"]);
    bench.runtime.registry.add("busybox:2");
    write("busybox:2");
    await until(() => bench.runtime.find("main")?.spec.image === "busybox:2");
    await until(() => running("web-n1"));
    rmSync(file());
    await until(async () => (await bench.get("web-n1")) === undefined);
    await until(() => bench.runtime.size === 0);
  });
});

describe("a pod that does not fit", () => {
  test("is refused with the reason", async () => {
    const resources = { requests: { cpu: "3" } };
    await bench.create("big", { containers: [container("main", { resources })] });
    await bench.settle();
    const pod = await bench.get("big");
    expect(pod?.status).toMatchObject({ phase: "Failed", reason: "OutOfcpu" });
    expect(bench.runtime.size).toBe(0);
  });

  test("fits where one was that the API has no more, though it has not ended yet", async () => {
    const resources = { requests: { cpu: "1500m" } };
    await bench.create("old", { containers: [container("old", { resources })] });
    bench.runtime.immortal.add("old");
    const ref = { namespace: "default", name: "old" };
    await bench.client.delete(pods, ref, { gracePeriodSeconds: 0 });
    await bench.create("new", { containers: [container("new", { resources })] });
    await until(async () => (await bench.get("new"))?.status?.phase === "Running");
    expect(bench.runtime.size).toBe(2);
    bench.runtime.immortal.clear();
    await until(() => bench.runtime.size === 1);
  });
});

describe("a node that runs short", () => {
  const nodeCondition = async (type: string) =>
    (await bench.client.get(nodes, { name: NODE }))?.status?.conditions?.find(
      (one) => one.type === type,
    )?.status;

  test("tells it, evicts one pod at a time, and takes no more", async () => {
    await bench.create("low", {});
    await bench.create("high", {
      priorityClassName: "system-node-critical",
      containers: [container("other")],
    });
    bench.supply = { ...bench.supply, memoryBytes: 2 ** 20 };
    await bench.advance(10_500);
    expect(await nodeCondition("MemoryPressure")).toBe("True");
    const low = await bench.get("low");
    expect(low?.status).toMatchObject({ phase: "Failed", reason: "Evicted" });
    expect(condition(low, "DisruptionTarget")).toBe("True");
    expect((await bench.get("high"))?.status?.phase).toBe("Running");
    bench.supply = { ...bench.supply, memoryBytes: 2 ** 29 };
    await bench.create("late", {});
    await bench.settle();
    expect((await bench.get("late"))?.status?.reason).toBe("Evicted");
    await bench.advance(320_000);
    expect(await nodeCondition("MemoryPressure")).toBe("False");
    await bench.create("again", { containers: [container("third")] });
    expect((await bench.get("again"))?.status?.phase).toBe("Running");
  });

  test("removes unused images when the disk fills", async () => {
    bench.runtime.registry.add("old:1");
    await bench.create("job", {
      restartPolicy: "Never",
      containers: [container("j", { image: "old:1" })],
    });
    bench.runtime.end("j", 0);
    bench.runtime.registry.add("kept:1");
    await bench.create("reader", {
      volumes: [{ name: "v", image: { reference: "kept:1", pullPolicy: "IfNotPresent" } }],
      containers: [container("main", { volumeMounts: [{ name: "v", mountPath: "/v" }] })],
    });
    bench.supply = { ...bench.supply, diskBytes: bench.supply.diskCapacityBytes * 0.12 };
    await bench.advance(450_000);
    expect(bench.runtime.imageNames()).not.toContain("old:1");
    expect(bench.runtime.imageNames()).toContain("kept:1");
  });

  test("evicts a pod whose volume outgrew its limit", async () => {
    const pod = await bench.create("fat", {
      volumes: [{ name: "v", emptyDir: { sizeLimit: "1Mi" } }],
      containers: [container("main", { volumeMounts: [{ name: "v", mountPath: "/v" }] })],
    });
    const folder = `${bench.dataDir}/pods/${pod.metadata.uid}/volumes/v`;
    writeFileSync(`${folder}/big`, Buffer.alloc(2 ** 21));
    await bench.advance(45_000);
    const status = (await bench.get("fat"))?.status;
    expect(status?.message).toBe('Usage of EmptyDir volume "v" exceeds the limit "1Mi". ');
  });
});

describe("while the API is away", () => {
  test("a crashed container is restarted with what was known, and told afterwards", async () => {
    await bench.client.create(configMaps, {
      metadata: { name: "cm", namespace: "default" },
      data: { key: "value" },
    });
    const env = [{ name: "X", valueFrom: { configMapKeyRef: { name: "cm", key: "key" } } }];
    await bench.create("web", { containers: [container("main", { env })] });
    bench.away = true;
    bench.runtime.end("main", 1);
    await bench.advance(5_000);
    expect(bench.runtime.running()).toEqual(["main"]);
    expect(bench.runtime.find("main")?.spec.env).toContainEqual({ name: "X", value: "value" });
    // Long enough for tries to be far apart.
    await bench.advance(120_000);
    bench.away = false;
    await bench.advance(limits.nodeLeaseRenewMs + 500);
    expect((await bench.get("web"))?.status?.containerStatuses?.[0]?.restartCount).toBe(1);
  });
});

test("another address of the machine is told within seconds", async () => {
  const told = () =>
    bench.client
      .get(nodes, { name: NODE })
      .then((node) => node?.status?.addresses?.map(({ address }) => address));
  expect(await told()).toEqual(["192.168.7.1", NODE]);
  bench.addresses = [];
  await bench.advance(6_000);
  expect(await told()).toEqual(["192.168.7.1", NODE]);
  bench.addresses = ["192.168.7.9"];
  await bench.advance(6_000);
  expect(await told()).toEqual(["192.168.7.9", NODE]);
});

test("a device that is plugged in is offered, given once, and free afterwards", async () => {
  bench.devices = ["ttyUSB0"];
  await bench.advance(10_500);
  const node = await bench.client.get(nodes, { name: NODE });
  expect(node?.status?.capacity?.["bramble.dev/serial"]).toBe("1");
  const resources = { limits: { "bramble.dev/serial": "1" } };
  const spec = { containers: [container("main", { resources })], terminationGracePeriodSeconds: 1 };
  await bench.create("first", spec);
  expect(bench.runtime.find("main")?.spec.devices).toEqual(["/dev/ttyUSB0"]);
  await bench.create("second", spec);
  expect((await bench.get("second"))?.status?.reason).toBe("OutOfbramble.dev/serial");
  await bench.client.delete(pods, { namespace: "default", name: "first" });
  await bench.advance(2_000);
  await bench.create("third", spec);
  expect((await bench.get("third"))?.status?.phase).toBe("Running");
});

test("a pod that a finalizer holds is ended once, and forgotten when it is let go", async () => {
  await bench.client.create(pods, {
    metadata: { name: "held", namespace: "default", finalizers: ["x.io/hold"] },
    spec: { nodeName: NODE, containers: [container("main")], terminationGracePeriodSeconds: 1 },
  });
  await bench.settle();
  await bench.client.delete(pods, { namespace: "default", name: "held" });
  await bench.advance(5_000);
  const held = await bench.get("held");
  expect(held?.status?.phase).toBe("Failed");
  expect(bench.runtime.size).toBe(0);
  const writes = bench.deletions;
  await bench.advance(60_000);
  expect(bench.deletions).toBe(writes);
  const body = { metadata: { finalizers: null } };
  await bench.client.patch(pods, { namespace: "default", name: "held" }, "merge", body);
  await bench.advance(1_000);
  expect(await bench.get("held")).toBeUndefined();
  expect(bench.kubelet.workers.size).toBe(0);
});

test("a node that goes down ends its programs, and starts them again after the boot", async () => {
  bench.runtime.stubborn.add("deaf");
  await bench.create("web", {});
  await bench.create("deaf", { containers: [container("deaf")] });
  let over = false;
  const down = bench.kubelet.shutdown(2_000).then(() => {
    over = true;
  });
  // What is written last takes its time on a real disk.
  while (!over) await bench.advance(250);
  await down;
  expect(bench.runtime.running()).toEqual([]);
  expect(bench.runtime.calls).toContain("signal deaf SIGKILL");
  expect((await bench.get("web"))?.status?.phase).toBe("Running");
  await bench.restart({ reboot: true });
  await bench.advance(1_000);
  expect(bench.runtime.running().sort()).toEqual(["deaf", "main"]);
});
