import { beforeEach, describe, expect, test } from "bun:test";
import { nodeLifecycleController } from "#controllers/nodelifecycle/controller.ts";
import { leases } from "#resources/kinds/lease.ts";
import { nodes } from "#resources/kinds/node.ts";
import { pods } from "#resources/kinds/pod.ts";
import { podStatus } from "#test/support/build.ts";
import { fakeClock } from "#test/support/clock.ts";
import { World } from "#test/support/world.ts";

const GRACE = 10_000;
let world: World;
let clock: ReturnType<typeof fakeClock>;
let controller: ReturnType<typeof nodeLifecycleController>;

beforeEach(() => {
  world = new World();
  clock = fakeClock(world.now);
  controller = nodeLifecycleController(clock, GRACE);
  for (const name of ["n1", "n2"]) {
    world.put(nodes, {
      metadata: { name },
      spec: { taints: [{ key: "mine", effect: "NoSchedule" }] },
      status: { conditions: [{ type: "Ready", status: "True" }] },
    });
    renew(name);
  }
});

function renew(name: string): boolean {
  const key = `kube-node-lease/${name}`;
  const after = world.put(leases, {
    metadata: { namespace: "kube-node-lease", name },
    spec: { renewTime: new Date(clock.now()).toISOString() },
  });
  const [trigger] = controller.triggers;
  return trigger?.changed?.({ key, before: undefined, after }) !== false;
}

async function pass(ms: number, alive: string[]): Promise<void> {
  for (let i = 0; i < ms; i += 1000) {
    await clock.advance(1000);
    world.now = clock.now();
    for (const name of alive) renew(name);
  }
}

const taints = (name: string) =>
  (world.get(nodes, name)?.spec?.taints ?? []).map(({ key, effect }) => `${key}:${effect}`).sort();
const ready = (name: string) =>
  world.get(nodes, name)?.status?.conditions?.find(({ type }) => type === "Ready");

describe("a node", () => {
  test("that renews its lease stays as it is, and wakes nobody", async () => {
    world.settle([controller]);
    await pass(60_000, ["n1", "n2"]);
    expect(renew("n1")).toBe(false);
    expect(world.settle([controller])).toBe(0);
    expect(world.writes).toBe(0);
  });

  test("that is silent too long is Unknown, tainted, and its pods not ready", async () => {
    world.settle([controller]);
    world.put(pods, {
      metadata: { namespace: "x", name: "p" },
      spec: { containers: [], nodeName: "n1" },
      status: podStatus(world, { ready: true }) ?? {},
    });
    await pass(9000, ["n2"]);
    world.settle([controller]);
    expect(ready("n1")?.status).toBe("True");
    await pass(1000, ["n2"]);
    world.settle([controller]);
    expect(ready("n1")).toMatchObject({ status: "Unknown", reason: "NodeStatusUnknown" });
    expect(taints("n1")).toEqual([
      "mine:NoSchedule",
      "node.kubernetes.io/unreachable:NoExecute",
      "node.kubernetes.io/unreachable:NoSchedule",
    ]);
    expect(world.get(pods, "x/p")?.status?.conditions?.[0]?.status).toBe("False");
    expect(world.events).toEqual(["Normal NodeNotReady: Node n1 status is now: NodeNotReady"]);
    expect(taints("n2")).toEqual(["mine:NoSchedule"]);
    // Back again: the renewal wakes, the agent reports, the taints go.
    expect(renew("n1")).toBe(true);
    world.change(nodes, "n1", { status: { conditions: [{ type: "Ready", status: "True" }] } });
    world.settle([controller]);
    expect(taints("n1")).toEqual(["mine:NoSchedule"]);
  });

  test("is silent since its last sign, however often it is looked at", async () => {
    const lastHeartbeatTime = new Date(clock.now()).toISOString();
    const conditions = [{ type: "Ready", status: "True", lastHeartbeatTime }];
    world.change(nodes, "n1", { status: { conditions } });
    world.settle([controller]);
    await pass(3000, ["n1", "n2"]);
    await pass(5000, ["n2"]);
    world.settle([controller]);
    await pass(4000, ["n2"]);
    world.settle([controller]);
    expect(ready("n1")?.status).toBe("True");
    await pass(1000, ["n2"]);
    world.settle([controller]);
    expect(ready("n1")?.status).toBe("Unknown");
  });

  test("is asked for when its silence would be too long", () => {
    const state = controller.read("n1", { caches: world.caches, now: world.now, random: () => 0 });
    expect(state && controller.plan(state, world.now).againMs).toBe(GRACE + 50);
  });

  test("drives nobody away when all are silent: then it is us who are cut off", async () => {
    world.settle([controller]);
    await pass(20_000, []);
    world.settle([controller]);
    expect(taints("n1")).toEqual(["mine:NoSchedule", "node.kubernetes.io/unreachable:NoSchedule"]);
    renew("n2");
    world.settle([controller]);
    expect(taints("n1")).toContain("node.kubernetes.io/unreachable:NoExecute");
  });

  test("is not thought gone when the wall clock jumps", async () => {
    world.settle([controller]);
    clock.jump(365 * 86_400_000);
    world.now = clock.now();
    expect(world.settle([controller])).toBe(0);
    expect(ready("n1")?.status).toBe("True");
  });

  test("that says it is not ready is tainted so; pressure and cordon keep new pods away", () => {
    const conditions = [
      { type: "Ready", status: "False" },
      { type: "DiskPressure", status: "True" },
    ];
    world.change(nodes, "n1", { spec: { unschedulable: true }, status: { conditions } });
    world.settle([controller]);
    expect(taints("n1")).toEqual([
      "mine:NoSchedule",
      "node.kubernetes.io/disk-pressure:NoSchedule",
      "node.kubernetes.io/not-ready:NoExecute",
      "node.kubernetes.io/not-ready:NoSchedule",
      "node.kubernetes.io/unschedulable:NoSchedule",
    ]);
    const { writes } = world;
    world.settle([controller]);
    expect(world.writes).toBe(writes);
  });

  test("that never reported has longer to start", async () => {
    world.put(nodes, { metadata: { name: "n3" } });
    world.settle([controller]);
    expect(taints("n3")).toEqual(["node.kubernetes.io/not-ready:NoSchedule"]);
    await pass(30_000, ["n1", "n2"]);
    world.settle([controller]);
    expect(ready("n3")).toBeUndefined();
    await pass(30_000, ["n1", "n2"]);
    world.settle([controller]);
    expect(ready("n3")).toMatchObject({ status: "Unknown", reason: "NodeStatusNeverUpdated" });
  });
});
