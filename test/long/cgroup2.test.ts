/**
 * Limits, classes, statistics and resizing of pods on control groups of version 2, in a virtual
 * machine whose kernel has them: the one that other tests run on may have version 1.
 *
 *   bun run build && bun run test:cgroup2
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { imageName, Machine } from "#test/power/machine.ts";
import { eventually } from "#test/support/instance.ts";

/** Programs in the machine are twenty times slower than here. */
const WAIT_MS_MAX = 240_000;
const PIDS_MAX = 40;
const FILES = ["cpu.max", "cpu.weight", "memory.max", "memory.swap.max", "memory.oom.group"];

interface Resources {
  requests?: Record<string, string>;
  limits?: Record<string, string>;
}

interface PodJson {
  metadata: { uid: string };
  status: {
    qosClass: string;
    conditions?: Array<{ type: string; status: string }>;
    containerStatuses?: Array<{
      name: string;
      containerID?: string;
      restartCount: number;
      resources?: Resources;
      lastState?: { terminated?: { reason: string; exitCode: number } };
    }>;
  };
}

let machine: Machine;

const kubectl = (...argv: string[]) => machine.kubectl(argv);

beforeAll(async () => {
  const reserved = "--system-reserved cpu=250m,memory=100Mi";
  machine = await Machine.make(1, `--pod-max-pids ${PIDS_MAX} ${reserved}`);
  await eventually("a kubeconfig", WAIT_MS_MAX, async () => {
    await machine.takeKubeconfig();
    return true;
  });
  await eventually("the server is ready", WAIT_MS_MAX, async () => {
    return (await kubectl("get", "--raw", "/readyz")) === "ok";
  });
}, 600_000);

afterAll(async () => {
  await machine?.close();
}, 60_000);

const WAIT = "trap 'exit 0' TERM; while :; do sleep 1; done";

/** A pod with these containers: what they ask for by name. */
async function create(
  name: string,
  containers: Record<string, Resources>,
  script = WAIT,
  whole?: Resources,
): Promise<void> {
  const spec = {
    terminationGracePeriodSeconds: 0,
    automountServiceAccountToken: false,
    ...(whole && { resources: whole }),
    containers: Object.entries(containers).map(([container, resources]) => ({
      name: container,
      image: imageName(0),
      command: ["sh", "-c", script],
      resources,
    })),
  };
  const pod = { apiVersion: "v1", kind: "Pod", metadata: { name }, spec };
  await machine.kubectl(["apply", "-f", "-"], JSON.stringify(pod));
}

const get = async (name: string): Promise<PodJson> =>
  JSON.parse(await kubectl("get", "pod", name, "-o", "json"));

const until = (name: string, fits: (pod: PodJson) => boolean): Promise<PodJson> =>
  eventually(`pod ${name}`, WAIT_MS_MAX, async () => {
    const pod = await get(name);
    return fits(pod) ? pod : undefined;
  });

const ready = (name: string): Promise<PodJson> =>
  until(name, ({ status }) =>
    Boolean(status.conditions?.some(({ type, status: is }) => type === "Ready" && is === "True")),
  );

const statusOf = ({ status }: PodJson, name = "main") =>
  status.containerStatuses?.find((each) => each.name === name);

const idOf = (pod: PodJson, container = "main"): string =>
  statusOf(pod, container)?.containerID?.replace("containerd://", "") ?? "";

/** A folder of the pods' groups: its files that this test asks about, by name. */
async function group(path: string): Promise<Record<string, string>> {
  const names = [...FILES, "pids.max", "pids.current", "memory.current"];
  const print = `for each in ${names.join(" ")}; do echo "$each $(cat $each)"; done`;
  const text = await machine.exec(["sh", "-c", `cd /sys/fs/cgroup/kubepods${path} && ${print}`]);
  const lines = text.trim().split("\n");
  return Object.fromEntries(lines.map((line) => [line.split(" ", 1)[0], line.replace(/\S+ /, "")]));
}

const mebibytes = (count: number): string => String(count * 2 ** 20);

test("the kernel has version 2, and the node keeps back what it was told", async () => {
  expect(await machine.exec(["stat", "-f", "-c", "%T", "/sys/fs/cgroup"])).toBe("cgroup2fs\n");
  const [node] = JSON.parse(await kubectl("get", "nodes", "-o", "json")).items;
  expect(node.status.capacity.cpu).toBe("2");
  expect(node.status.allocatable.cpu).toBe("1750m");
  const kib = (text: string) => Number(text.replace("Ki", ""));
  // Beside it the 100 MiB below which pods are evicted.
  const kept = kib(node.status.capacity.memory) - kib(node.status.allocatable.memory);
  expect(kept).toBe(200 * 1024);
}, 600_000);

test("a guaranteed pod has its limits, as a whole and in its container", async () => {
  const limits = { cpu: "250m", memory: "64Mi" };
  await create("guaranteed", { main: { limits } });
  const pod = await ready("guaranteed");
  expect(pod.status.qosClass).toBe("Guaranteed");
  // 1 + (1792 shares - 2) * 9999 / 262142: all pods against the machine's other programs.
  expect((await group(""))["cpu.weight"]).toBe("69");
  const path = `/pod${pod.metadata.uid}`;
  const own = { "cpu.max": "25000 100000", "cpu.weight": "10", "memory.max": mebibytes(64) };
  expect(await group(path)).toMatchObject(own);
  expect(await group(`${path}/${idOf(pod)}`)).toMatchObject({
    ...own,
    "memory.swap.max": "0",
    "memory.oom.group": "1",
    "pids.max": String(PIDS_MAX),
  });
  // As the container's own programs see it.
  const seen = await kubectl("exec", "guaranteed", "--", "cat", "/sys/fs/cgroup/cpu.max");
  expect(seen).toBe("25000 100000\n");
}, 600_000);

test("burstable and best-effort pods stand in their classes", async () => {
  const main = {
    requests: { cpu: "100m", memory: "32Mi" },
    limits: { cpu: "300m", memory: "96Mi" },
  };
  await create("burstable", { main, other: { requests: { cpu: "200m" } } });
  await create("besteffort", { main: {} });
  const [some, none] = [await ready("burstable"), await ready("besteffort")];
  expect([some.status.qosClass, none.status.qosClass]).toEqual(["Burstable", "BestEffort"]);
  const path = `/burstable/pod${some.metadata.uid}`;
  const unlimited = { "cpu.max": "max 100000", "memory.max": "max" };
  // Upstream's default, NoSwap, is each container's own and needs no memory limit.
  const noSwap = { "memory.swap.max": "0" };
  // Not every container has a limit, so the pod has none.
  expect(await group(path)).toMatchObject({ ...unlimited, "cpu.weight": "12" });
  expect(await group(`${path}/${idOf(some)}`)).toMatchObject({
    "cpu.max": "30000 100000",
    "cpu.weight": "4",
    "memory.max": mebibytes(96),
  });
  expect(await group(`${path}/${idOf(some, "other")}`)).toMatchObject({
    ...unlimited,
    ...noSwap,
    "cpu.weight": "8",
  });
  const last = `/besteffort/pod${none.metadata.uid}`;
  for (const each of ["/besteffort", last, `${last}/${idOf(none)}`]) {
    expect(await group(each)).toMatchObject({ ...unlimited, "cpu.weight": "1" });
  }
  expect(await group(`${last}/${idOf(none)}`)).toMatchObject(noSwap);
  expect(await group(last)).toMatchObject({ "memory.swap.max": "max" });
}, 600_000);

test("a pod has its limits as a whole, on version 2", async () => {
  const whole = { limits: { cpu: "300m", memory: "96Mi" } };
  await create("whole", { main: {}, other: {} }, WAIT, whole);
  const pod = await ready("whole");
  expect(await group(`/pod${pod.metadata.uid}`)).toMatchObject({
    "cpu.max": "30000 100000",
    "memory.max": mebibytes(96),
  });
}, 600_000);

test("limits of a container change while it runs", async () => {
  const before = await get("guaranteed");
  const limits = { cpu: "400m", memory: "80Mi" };
  const containers = [{ name: "main", resources: { limits, requests: limits } }];
  const patch = JSON.stringify({ spec: { containers } });
  await kubectl("patch", "pod", "guaranteed", "--subresource", "resize", "--patch", patch);
  const after = await until(
    "guaranteed",
    (pod) => statusOf(pod)?.resources?.limits?.["cpu"] === "400m",
  );
  expect(statusOf(after)).toMatchObject({
    restartCount: 0,
    containerID: `containerd://${idOf(before)}`,
  });
  const path = `/pod${after.metadata.uid}`;
  const own = { "cpu.max": "40000 100000", "cpu.weight": "16", "memory.max": mebibytes(80) };
  expect(await group(path)).toMatchObject(own);
  expect(await group(`${path}/${idOf(after)}`)).toMatchObject(own);
}, 600_000);

test("a container that forks too much, or takes too much memory, is held", async () => {
  // A shell that cannot fork ends: one below the container's first process.
  const script = "(for i in $(seq 100); do sleep 1000 & done); exec sleep 1000000";
  await create("forks", { main: {} }, script);
  await eventually("a refusal", WAIT_MS_MAX, async () => {
    return (await kubectl("logs", "forks").catch(String)).includes("can't fork");
  });
  const forks = await get("forks");
  const held = await group(`/besteffort/pod${forks.metadata.uid}/${idOf(forks)}`);
  expect(held["pids.max"]).toBe(String(PIDS_MAX));
  expect(Number(held["pids.current"])).toBeWithin(PIDS_MAX - 5, PIDS_MAX + 1);
  expect(statusOf(forks)?.restartCount).toBe(0);
  await kubectl("delete", "pod", "forks", "--wait=false");

  // All of it ends, not only the program that took the memory.
  const greedy = `tail /dev/zero & ${WAIT}`;
  await create("greedy", { main: { limits: { memory: "24Mi" } } }, greedy);
  const ended = await until("greedy", (pod) => statusOf(pod)?.lastState?.terminated !== undefined);
  expect(statusOf(ended)?.lastState?.terminated).toMatchObject({
    reason: "OOMKilled",
    exitCode: 137,
  });
}, 600_000);

interface Usage {
  cpu: { usageCoreNanoSeconds: number };
  memory: { workingSetBytes: number; usageBytes: number };
}

test("statistics are the kernel's", async () => {
  const [node] = JSON.parse(await kubectl("get", "nodes", "-o", "json")).items;
  const pod = await get("besteffort");
  const path = `/sys/fs/cgroup/kubepods/besteffort/pod${pod.metadata.uid}/${idOf(pod)}`;
  const used = async () =>
    Number(/usage_usec (\d+)/.exec(await machine.exec(["cat", `${path}/cpu.stat`]))?.[1]) * 1000;
  const before = await used();
  const raw = `/api/v1/nodes/${node.metadata.name}/proxy/stats/summary`;
  const summary = JSON.parse(await kubectl("get", "--raw", raw)) as {
    pods: Array<{ podRef: { name: string }; containers: Usage[] }>;
  };
  const [told] = summary.pods.find(({ podRef }) => podRef.name === "besteffort")?.containers ?? [];
  const after = await used();
  // The figures may be some seconds old.
  expect(told?.cpu.usageCoreNanoSeconds).toBeWithin(before * 0.5, after + 1);
  const now = Number(await machine.exec(["cat", `${path}/memory.current`]));
  expect(told?.memory.usageBytes).toBeWithin(now * 0.5, now * 2);
  expect(told?.memory.workingSetBytes).toBeLessThanOrEqual(told?.memory.usageBytes ?? 0);
}, 600_000);
