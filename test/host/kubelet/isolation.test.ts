/** Control groups of every class, what the node keeps back, and what a pod may have of it. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { listDevices } from "#agents/kubelet/devices.ts";
import { nodes } from "#resources/kinds/node.ts";
import { runtimeClasses } from "#resources/kinds/runtimeclass.ts";
import { quantityValue } from "#resources/quantity.ts";
import type { Container, PodSpec } from "#resources/types.gen.ts";
import {
  eventually,
  type HostKubelet,
  shell,
  startHostKubelet,
  statusOf,
  WAIT,
} from "#test/support/hostkubelet.ts";
import { makeImage } from "#test/support/images.ts";

setDefaultTimeout(300_000);

const PIDS = 123;
const RESERVED = { cpuMillis: 150, memoryBytes: 256 * 2 ** 20 };
const CAPACITY_BYTES = 2 ** 32;
/** The machine has none; a node of this number is nobody's. */
const SERIAL = `/dev/ttyUSB${9_000 + (process.pid % 1_000)}`;

let k: HostKubelet;

beforeAll(async () => {
  // What /dev/null is, under the name of a serial port.
  Bun.spawnSync(["mknod", SERIAL, "c", "1", "3"]);
  const devices = () =>
    new Map([...listDevices()].map(([name, all]) => [name, all.filter((one) => one === SERIAL)]));
  k = await startHostKubelet("kubelet-isolation", {
    options: { pidsLimit: PIDS, reserved: RESERVED, devices },
  });
});

afterAll(async () => {
  rmSync(SERIAL, { force: true });
  await k.close();
});

const ROOT = "/sys/fs/cgroup";

/** A file of a group, by whichever version of control groups the machine has. */
function read(controller: string, group: string, v1: string, v2: string): string {
  const one = `${ROOT}/${controller}${group}/${v1}`;
  return readFileSync(existsSync(one) ? one : `${ROOT}${group}/${v2}`, "utf8").trim();
}

const sized = (limits: Record<string, string>, requests: Record<string, string>): Container =>
  shell("main", WAIT, { resources: { limits, requests } });

test.concurrent("each class has its place, its weight and its score", async () => {
  const all = { cpu: "50m", memory: "64Mi" };
  await Promise.all([
    k.create("guaranteed", { containers: [sized(all, all)] }),
    k.create("burstable", { containers: [sized({}, { cpu: "50m", memory: "64Mi" })] }),
    k.create("besteffort", {}),
  ]);
  const score = async (name: string) => {
    const text = await k.exec(name, "cat /proc/1/oom_score_adj");
    return Number(text);
  };
  const groupOf = async (name: string) => {
    const pod = await k.ready(name);
    const id = statusOf(pod)?.containerID?.replace("containerd://", "") ?? "";
    const pid = (await k.host.runtime.list()).find((one) => one.id === id)?.pid ?? 0;
    const lines = readFileSync(`/proc/${pid}/cgroup`, "utf8").split("\n");
    const line = lines.find((one) => /:(cpu|cpu,cpuacct|cpuacct,cpu)?:/.test(one)) ?? "";
    const path = line.split(":")[2] ?? "";
    return {
      qos: pod.status?.qosClass,
      path: path.replace(k.host.cgroup, ""),
      uid: pod.metadata.uid,
      id,
    };
  };
  const guaranteed = await groupOf("guaranteed");
  const burstable = await groupOf("burstable");
  const bestEffort = await groupOf("besteffort");
  expect(guaranteed.qos).toBe("Guaranteed");
  expect(guaranteed.path).toBe(`/pod${guaranteed.uid}/${guaranteed.id}`);
  expect(burstable.qos).toBe("Burstable");
  expect(burstable.path).toBe(`/burstable/pod${burstable.uid}/${burstable.id}`);
  expect(bestEffort.qos).toBe("BestEffort");
  expect(bestEffort.path).toBe(`/besteffort/pod${bestEffort.uid}/${bestEffort.id}`);
  const shares = (group: string) =>
    Number(read("cpu", `${k.host.cgroup}${group}`, "cpu.shares", "cpu.weight"));
  expect(shares("/besteffort")).toBeLessThanOrEqual(2);
  expect(shares("/burstable")).toBeGreaterThanOrEqual(2);
  const last = await score("besteffort");
  expect(last).toBe(1000);
  const middle = await score("burstable");
  expect(middle).toBeLessThan(last);
  expect(await score("guaranteed")).toBeLessThan(middle);
});

test.concurrent("a pod has its limits as a whole, and so many processes", async () => {
  const { metadata } = await k.create("whole", {
    resources: {
      limits: { cpu: "300m", memory: "96Mi" },
      requests: { cpu: "200m", memory: "64Mi" },
    },
    containers: [shell("main", WAIT), shell("other", WAIT)],
  } as Partial<PodSpec>);
  const status = statusOf(await k.ready("whole"));
  const group = `${k.host.cgroup}/burstable/pod${metadata.uid}`;
  expect(read("memory", group, "memory.limit_in_bytes", "memory.max")).toBe(String(96 << 20));
  expect(read("cpu", group, "cpu.cfs_quota_us", "cpu.max")).toMatch(/^30000/);
  expect(read("cpu", group, "cpu.shares", "cpu.weight")).toMatch(/^(204|8)$/);
  const id = status?.containerID?.replace("containerd://", "");
  expect(read("pids", `${group}/${id}`, "pids.max", "pids.max")).toBe(String(PIDS));
  await k.remove("whole", 0);
  // In a pod without a limit of memory: as many shells may need more than the one above has.
  await k.create("forks", { containers: [shell("main", WAIT)] });
  await k.ready("forks");
  const forks = "i=0; while [ $i -lt 300 ]; do sleep 5 & i=$((i+1)); done; echo all";
  expect(await k.exec("forks", `(${forks}) 2>&1 || true`)).toContain("can't fork");
  await k.remove("forks", 0);
});

test.concurrent("what is kept back is not to be had, what does not fit is refused", async () => {
  const node = await k.client.get(nodes, { name: "host1" });
  const { capacity = {}, allocatable = {} } = node?.status ?? {};
  expect(capacity["cpu"]).toBe("2");
  expect(allocatable["cpu"]).toBe("1850m");
  const huge = quantityValue(capacity["hugepages-2Mi"] ?? "0");
  const eviction = 100 * 2 ** 20;
  const left = CAPACITY_BYTES - huge - RESERVED.memoryBytes - eviction;
  expect(quantityValue(allocatable["memory"] ?? "")).toBe(left);
  const refused = async (name: string, requests: Record<string, string>) => {
    await k.create(name, { containers: [sized({}, requests)] });
    const { status } = await k.until(name, (pod) => pod.status?.phase === "Failed");
    return [status?.reason, status?.message];
  };
  expect(await refused("muchcpu", { cpu: "1900m" })).toEqual([
    "OutOfcpu",
    expect.stringContaining("Node didn't have enough resource: cpu, requested: 1900"),
  ]);
  expect((await refused("muchmemory", { memory: "4000Mi" }))[0]).toBe("OutOfmemory");
  expect((await refused("muchdisk", { "ephemeral-storage": "100Gi" }))[0]).toBe(
    "OutOfephemeral-storage",
  );
});

test.concurrent("a serial port without privileges, for one pod at a time", async () => {
  const resource = "bramble.dev/serial";
  await eventually("the offer", async () => {
    const node = await k.client.get(nodes, { name: "host1" });
    return node?.status?.allocatable?.[resource] === "1" ? true : undefined;
  });
  const containers = [sized({ [resource]: "1" }, {})];
  await k.create("serial", { containers });
  await k.ready("serial");
  const { rdev } = statSync(SERIAL);
  expect(rdev).toBe(0x103);
  const use = `test -c ${SERIAL} && echo x > ${SERIAL} && wc -c < ${SERIAL}`;
  expect(await k.exec("serial", use)).toBe("0\n");
  // Nothing else of the machine's devices came with it.
  expect(await k.exec("serial", "ls /dev/kmsg /dev/loop0 2>&1 || true")).toContain("No such file");
  await k.create("secondserial", { containers });
  const { status } = await k.until("secondserial", (pod) => pod.status?.phase === "Failed");
  expect(status?.reason).toBe("OutOfbramble.dev/serial");
  await k.remove("serial");
  await k.create("thirdserial", { containers });
  await k.ready("thirdserial");
});

test.concurrent("supplementary groups are merged with the image's, or strict", async () => {
  // The user is in a group by the image's own file.
  const etc = `${k.dataDir}/etc`;
  mkdirSync(etc);
  writeFileSync(`${etc}/group`, "root:x:0:\nmine:x:1000:\nextra:x:50000:me\n");
  writeFileSync(`${etc}/passwd`, "root:x:0:0::/:/bin/sh\nme:x:1000:1000::/:/bin/sh\n");
  const policy = async (name: string, supplementalGroupsPolicy: string) => {
    const securityContext = {
      runAsUser: 1000,
      runAsGroup: 1000,
      supplementalGroups: [60000],
      supplementalGroupsPolicy,
    };
    await k.create(name, { securityContext, containers: [groupsImage] });
    await k.ready(name);
    return (await k.exec(name, "grep Groups: /proc/1/status")).replace(/\s+/g, " ").trim();
  };
  const image = "bramble.test/groups:1";
  const files = ["group", "passwd"].flatMap((name) => ["--file", `${etc}/${name}:/etc/${name}`]);
  const tar = `${k.dataDir}/groups.tar`;
  makeImage(tar, { name: image, args: files });
  await k.host.runtime.load(tar);
  const groupsImage = { ...shell("main", WAIT), image };
  expect(await policy("merge", "Merge")).toBe("Groups: 1000 50000 60000");
  expect(await policy("strict", "Strict")).toBe("Groups: 1000 60000");
});

test.concurrent("what the node is not, or has given away, refuses a pod", async () => {
  const refused = async (name: string, spec: Partial<PodSpec>) => {
    await k.create(name, spec);
    const pod = await k.until(name, ({ status }) => status?.phase === "Failed");
    return pod.status?.reason;
  };
  const ports = [{ containerPort: 80, hostPort: 20_000 + (process.pid % 10_000) }];
  const container = { ...shell("main", WAIT), ports };
  await k.create("port", { containers: [container] });
  await k.ready("port");
  expect(await refused("sameport", { containers: [container] })).toBe("NodePorts");
  expect(await refused("selector", { nodeSelector: { disk: "none" } })).toBe("NodeAffinity");
  const matchExpressions = [{ key: "disk", operator: "In", values: ["none"] }];
  const terms = { nodeSelectorTerms: [{ matchExpressions }] };
  const nodeAffinity = { requiredDuringSchedulingIgnoredDuringExecution: terms };
  expect(await refused("affinity", { affinity: { nodeAffinity } })).toBe("NodeAffinity");
  expect(await refused("windows", { os: { name: "windows" } })).toBe("PodOSNotSupported");
});

test.concurrent("a class's overhead is added to the limits of the whole pod", async () => {
  await k.client.create(runtimeClasses, {
    metadata: { name: "heavy" },
    handler: "runc",
    overhead: { podFixed: { memory: "16Mi", cpu: "20m" } },
  });
  const limits = { cpu: "100m", memory: "64Mi" };
  const { metadata, spec } = await k.create("heavy", {
    runtimeClassName: "heavy",
    containers: [sized(limits, limits)],
  });
  expect(spec?.overhead).toEqual({ memory: "16Mi", cpu: "20m" });
  await k.ready("heavy");
  const group = `${k.host.cgroup}/pod${metadata.uid}`;
  expect(read("memory", group, "memory.limit_in_bytes", "memory.max")).toBe(String(80 << 20));
  expect(read("cpu", group, "cpu.cfs_quota_us", "cpu.max")).toMatch(/^12000/);
});
