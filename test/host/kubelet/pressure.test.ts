/** A node that runs short, and pods that outgrow their limits, with real containers and files. */
import { afterAll, afterEach, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, rmSync, writeFileSync } from "node:fs";
import type { Supply } from "#agents/kubelet/eviction.ts";
import { machineSupply } from "#agents/kubelet/housekeeper.ts";
import { nodes } from "#resources/kinds/node.ts";
import { priorityClasses } from "#resources/kinds/priorityclass.ts";
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
import { shiftClock } from "#test/support/shiftclock.ts";

setDefaultTimeout(300_000);

const DISK_BYTES = 96 * 2 ** 20;
/** The node looks after itself this often; limits of local storage and images it sees seldom. */
const LOOK_MS = 31_000;
const IMAGE_AGE_MS = 125_000;

/** What is told instead of what the machine has left. */
let less: Partial<Supply> = {};

const clock = shiftClock();
let told: HostKubelet;
let disk: HostKubelet;

afterEach(() => {
  less = {};
});

beforeAll(async () => {
  const supply = async () => ({ ...(await machineSupply("/tmp")), diskBytes: 2 ** 40, ...less });
  [told, disk] = await Promise.all([
    startHostKubelet("kubelet-told", { clock, supply }),
    startHostKubelet("kubelet-disk", { clock, dataBytes: DISK_BYTES }),
  ]);
});

afterAll(async () => {
  await told?.close();
  await disk?.close();
});

const condition = async (k: HostKubelet, type: string) => {
  const node = await k.client.get(nodes, { name: "host1" });
  return node?.status?.conditions?.find((one) => one.type === type)?.status;
};

/** The node tells it beside what it does about it. */
const suffers = (k: HostKubelet, type: string) =>
  eventually(type, async () => ((await condition(k, type)) === "True" ? true : undefined));

/** Until the node has looked after itself again and found what `look` wants. */
const afterLooks = <T>(what: string, look: () => Promise<T | undefined>): Promise<T> =>
  eventually(what, async () => {
    const found = await look();
    if (found !== undefined) return found;
    clock.shift(LOOK_MS);
    await Bun.sleep(500);
    return undefined;
  });

/** Pressure holds on for five minutes. */
const memoryIsBack = () =>
  afterLooks("the end of the pressure", async () =>
    (await condition(told, "MemoryPressure")) === "False" ? true : undefined,
  );

const evicted = (k: HostKubelet, name: string): Promise<Pod> =>
  afterLooks(`the eviction of ${name}`, async () => {
    const pod = await k.get(name);
    return pod?.status?.reason === "Evicted" ? pod : undefined;
  });

const sizes = (requests: Record<string, string>) =>
  shell("main", WAIT, { resources: { requests } });

test("limits of local storage: a volume, a container's files, its log", async () => {
  const volumeMounts = [{ name: "v", mountPath: "/v" }];
  const limits = { "ephemeral-storage": "2Mi" };
  const writes = (file: string) => `head -c 4000000 /dev/urandom > ${file}; ${WAIT}`;
  await told.create("volume", {
    volumes: [{ name: "v", emptyDir: { sizeLimit: "1Mi" } }],
    containers: [shell("main", writes("/v/f"), { volumeMounts })],
  });
  await told.create("files", {
    containers: [shell("main", writes("/f"), { resources: { limits } })],
  });
  await told.create("log", {
    containers: [shell("main", `yes words | head -c 4000000; ${WAIT}`, { resources: { limits } })],
  });
  await told.create("within", {
    containers: [shell("main", WAIT, { resources: { limits } })],
  });
  for (const name of ["volume", "files", "log", "within"]) await told.ready(name);
  expect((await evicted(told, "volume")).status).toMatchObject({
    phase: "Failed",
    message: 'Usage of EmptyDir volume "v" exceeds the limit "1Mi". ',
  });
  for (const name of ["files", "log"]) {
    expect((await evicted(told, name)).status?.message).toBe(
      'Container main exceeded its local ephemeral storage limit "2Mi". ',
    );
  }
  expect((await told.get("within"))?.status?.phase).toBe("Running");
  await told.remove("within", 0);
});

test("short of memory: the pod above its request goes, and none of that class comes", async () => {
  const use = "head -c 30000000 /dev/zero > /m/f";
  const volumeMounts = [{ name: "m", mountPath: "/m" }];
  await told.create("greedy", {
    volumes: [{ name: "m", emptyDir: { medium: "Memory" } }],
    // It hears no signal: it ends by being killed.
    containers: [shell("main", `${use}; while true; do sleep 1; done`, { volumeMounts })],
  });
  await told.create("modest", { containers: [sizes({ memory: "64Mi" })] });
  await told.ready("greedy");
  await told.ready("modest");
  less = { memoryBytes: 50 * 2 ** 20 };
  const { status } = await evicted(told, "greedy");
  less = {};
  expect(status?.message).toContain(
    "The node was low on resource: memory. Threshold quantity: 100Mi",
  );
  expect(status?.conditions?.find(({ type }) => type === "DisruptionTarget")).toMatchObject({
    status: "True",
    reason: "TerminationByKubelet",
  });
  expect(statusOf({ status } as Pod)?.state?.terminated?.exitCode).toBe(137);
  expect((await told.get("modest"))?.status?.phase).toBe("Running");
  await suffers(told, "MemoryPressure");
  await told.create("late", {});
  const late = await told.until("late", (pod) => pod.status?.phase === "Failed");
  expect(late.status?.reason).toBe("Evicted");
  expect(late.status?.message).toEndWith("The node had condition: [MemoryPressure]. ");
  await told.create("asks", { containers: [sizes({ memory: "16Mi" })] });
  await told.ready("asks");
  await memoryIsBack();
  await told.remove("asks", 0);
});

test("short of process ids: the pod with most of them goes", async () => {
  // Also where the test before this one has failed.
  await memoryIsBack();
  await told.create("forks", {
    containers: [shell("main", `for i in 1 2 3 4 5 6 7 8 9; do sleep 1000 & done; ${WAIT}`)],
  });
  await told.ready("forks");
  less = { pids: 100, pidsCapacity: 32_768 };
  const { status } = await evicted(told, "forks");
  less = {};
  expect(status?.message).toContain("The node was low on resource: pids.");
  await suffers(told, "PIDPressure");
  expect((await told.get("modest"))?.status?.phase).toBe("Running");
});

test("images that nobody uses go when the disk is full, those in use stay", async () => {
  const names = (await told.host.runtime.images()).flatMap((image) => image.names);
  expect(names).toEqual(["bramble.test/busybox:1"]);
  const unused = "bramble.test/unused:1";
  await told.host.runtime.load(await imageTar({ name: unused, args: ["--env", "UNUSED=1"] }));
  less = { diskBytes: 12, diskCapacityBytes: 100 };
  const there = async () => (await told.host.runtime.inspectImage(unused)) !== undefined;
  for (let look = 0; look < 2; look++) {
    clock.shift(LOOK_MS);
    await Bun.sleep(1_000);
  }
  // Not one that may just have been fetched.
  expect(await there()).toBe(true);
  clock.shift(IMAGE_AGE_MS);
  await afterLooks("its end", async () => ((await there()) ? undefined : true));
  less = {};
  expect(await told.host.runtime.inspectImage("bramble.test/busybox:1")).toBeDefined();
});

test("a disk that is really full: whoever filled it goes, and the rest goes on", async () => {
  const priorityClassName = "system-node-critical";
  if ((await disk.client.get(priorityClasses, { name: priorityClassName })) === undefined) {
    const value = 2_000_001_000;
    await disk.client.create(priorityClasses, { metadata: { name: priorityClassName }, value });
  }
  await disk.create("keeper", { priorityClassName });
  const before = await disk.ready("keeper");
  // No room for one byte: a pod cannot start, says so, and starts once there is room.
  const fill = `${disk.dataDir}/fill`;
  Bun.spawnSync(["sh", "-c", `cat /dev/zero > ${fill}`]);
  await disk.create("poor", { containers: [shell("main", WAIT)] });
  const reasons = ["FailedCreatePodSandBox", "FailedMount", "Failed"];
  await Promise.any(reasons.map((reason) => disk.said("poor", reason, /no space left|ENOSPC/i)));
  expect((await disk.get("keeper"))?.status).toEqual(before.status);
  rmSync(fill);
  await disk.ready("poor");
  // The kernel's own figures, for a pod that fills the disk.
  const volumeMounts = [{ name: "v", mountPath: "/v" }];
  await disk.create("filler", {
    volumes: [{ name: "v", emptyDir: {} }],
    containers: [shell("main", `head -c 92000000 /dev/zero > /v/f; ${WAIT}`, { volumeMounts })],
  });
  const { metadata } = await disk.ready("filler");
  const { status } = await evicted(disk, "filler");
  expect(status?.message).toContain("The node was low on resource: ephemeral-storage.");
  await suffers(disk, "DiskPressure");
  expect((await disk.get("keeper"))?.status?.phase).toBe("Running");
  await eventually("the room", () =>
    existsSync(`${disk.dataDir}/pods/${metadata.uid}/volumes/v/f`) ? undefined : true,
  );
  await disk.create("refused", { containers: [sizes({ memory: "16Mi" })] });
  const refused = await disk.until("refused", (pod) => pod.status?.phase === "Failed");
  expect(refused.status?.message).toContain("The node had condition: [DiskPressure].");
  await afterLooks("the end of it", async () =>
    (await condition(disk, "DiskPressure")) === "False" ? true : undefined,
  );
  writeFileSync(`${disk.dataDir}/room`, "there is some");
  await disk.create("later", {});
  await disk.ready("later");
});
