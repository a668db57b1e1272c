import { beforeEach, describe, expect, test } from "bun:test";
import fc from "fast-check";
import { daemonSetController } from "#controllers/daemonset/controller.ts";
import { targetNode } from "#controllers/daemonset/daemon.ts";
import { controllerRevisions } from "#resources/kinds/controllerrevision.ts";
import { daemonSets } from "#resources/kinds/daemonset.ts";
import { nodes } from "#resources/kinds/node.ts";
import { pods } from "#resources/kinds/pod.ts";
import { keyOf, type Stored } from "#resources/meta.ts";
import type { DaemonSetSpec, Pod, PodSpec, Taint } from "#resources/types.gen.ts";
import { podStatus, runPod, template } from "#test/support/build.ts";
import { fakeClock } from "#test/support/clock.ts";
import { tries } from "#test/support/property.ts";
import { World } from "#test/support/world.ts";

const KEY = "x/agent";
let world: World;
let clock: ReturnType<typeof fakeClock>;
let controller: ReturnType<typeof daemonSetController>;

function reset(names: readonly string[] = ["n1", "n2", "n3"]): void {
  world = new World();
  clock = fakeClock(world.now);
  controller = daemonSetController(clock);
  for (const name of names) node(name);
}
beforeEach(() => reset());

function node(name: string, labels: Record<string, string> = {}, taints: Taint[] = []): void {
  world.put(nodes, { metadata: { name, labels }, spec: { taints } });
}

function create(spec: Partial<DaemonSetSpec> = {}, pod: Partial<PodSpec> = {}): void {
  const base = template("agent:1");
  world.put(daemonSets, {
    metadata: { namespace: "x", name: "agent" },
    spec: {
      selector: { matchLabels: { app: "web" } },
      template: { ...base, spec: { containers: [], ...base.spec, ...pod } },
      ...spec,
    },
  });
}

const settle = () => world.settle([controller]);
const status = () => world.get(daemonSets, KEY)?.status;
const at = (pods: ReadonlyArray<Stored<Pod>>) => pods.map((pod) => targetNode(pod)).sort();
const standing = () => world.list(pods).filter((pod) => !pod.metadata.deletionTimestamp);
const image = (pod: Pod) => pod.spec?.containers[0]?.image;
const setImage = (name: string) =>
  world.change(daemonSets, KEY, { spec: { template: template(name) } });

/** As scheduler and nodes do: bound to its node, then ready. */
function start(pod: Stored<Pod>): void {
  runPod(world, keyOf(pod), { ready: true, node: targetNode(pod) ?? "" });
}

function finish(): void {
  for (let i = 0; i < 40; i++) {
    settle();
    const waiting = world.list(pods).filter((pod) => pod.status?.phase === undefined);
    if (waiting.length === 0) return;
    for (const pod of waiting) start(pod);
  }
  throw new Error("does not finish");
}

describe("one pod a node", () => {
  test("is made for it, pinned, with the tolerations of a daemon", () => {
    create();
    settle();
    expect(at(standing())).toEqual(["n1", "n2", "n3"]);
    const [pod] = standing();
    expect(pod?.metadata.generateName).toBe("agent-");
    expect(pod?.metadata.labels).toHaveProperty("controller-revision-hash");
    expect(pod?.spec?.nodeName).toBeUndefined();
    const keys = pod?.spec?.tolerations?.map(({ key, effect }) => `${key}:${effect}`);
    expect(keys).toContain("node.kubernetes.io/unreachable:NoExecute");
    expect(keys).toContain("node.kubernetes.io/unschedulable:NoSchedule");
    finish();
    expect(status()).toMatchObject({
      desiredNumberScheduled: 3,
      currentNumberScheduled: 3,
      numberReady: 3,
      numberAvailable: 3,
      updatedNumberScheduled: 3,
      numberMisscheduled: 0,
    });
    expect(settle()).toBe(0);
  });

  test("follows nodes as they come, change and go", () => {
    create({}, { nodeSelector: { disk: "ssd" } });
    settle();
    expect(standing()).toEqual([]);
    node("n1", { disk: "ssd" });
    node("n4", { disk: "ssd" });
    settle();
    expect(at(standing())).toEqual(["n1", "n4"]);
    node("n1", { disk: "hdd" });
    settle();
    expect(at(standing())).toEqual(["n4"]);
  });

  test("stays away from taints, and leaves for NoExecute only", () => {
    node("n1", {}, [{ key: "gpu", effect: "NoSchedule" }]);
    create();
    finish();
    expect(at(standing())).toEqual(["n2", "n3"]);
    node("n2", {}, [{ key: "gpu", effect: "NoSchedule" }]);
    settle();
    expect(at(standing())).toEqual(["n2", "n3"]);
    expect(status()).toMatchObject({ desiredNumberScheduled: 1, numberMisscheduled: 1 });
    node("n3", {}, [{ key: "gpu", effect: "NoExecute" }]);
    settle();
    expect(at(standing())).toEqual(["n2"]);
    node("n1", {}, [{ key: "node.kubernetes.io/unreachable", effect: "NoExecute" }]);
    settle();
    expect(at(standing())).toEqual(["n1", "n2"]);
  });

  test("doubles go, the youngest first", () => {
    create();
    finish();
    const [first] = standing();
    const { uid: _, ...metadata } = first?.metadata ?? {};
    world.now += 5000;
    const later = { ...metadata, name: "double", creationTimestamp: world.time() };
    world.put(pods, { ...first, metadata: later } as Pod);
    settle();
    expect(world.get(pods, "x/double")).toBeUndefined();
    expect(standing()).toHaveLength(3);
  });

  test("a failed one is replaced, after a growing while", async () => {
    reset(["n1"]);
    create();
    finish();
    const fail = () => {
      for (const pod of standing()) {
        world.change(pods, keyOf(pod), { status: podStatus(world, { phase: "Failed" }) });
      }
    };
    const uid = () => standing()[0]?.metadata.uid;
    let before = uid();
    fail();
    settle();
    expect(uid()).not.toBe(before);
    before = uid();
    fail();
    settle();
    expect(uid()).toBe(before);
    const state = controller.read(KEY, { caches: world.caches, now: world.now, random: () => 0 });
    expect(state && controller.plan(state, world.now).againMs).toBe(1000);
    await clock.advance(1000);
    settle();
    expect(uid()).not.toBe(before);
    expect(world.events.some((text) => text.includes("FailedDaemonPod"))).toBe(true);
  });
});

describe("an update", () => {
  test("replaces as many at a time as may be missing", () => {
    create({ updateStrategy: { type: "RollingUpdate", rollingUpdate: { maxUnavailable: 2 } } });
    finish();
    world.gracefulPods = true;
    setImage("agent:2");
    settle();
    expect(world.list(pods).filter((pod) => pod.metadata.deletionTimestamp)).toHaveLength(2);
    world.gracefulPods = false;
    for (const pod of world.list(pods)) {
      if (pod.metadata.deletionTimestamp) world.remove(pods, keyOf(pod));
    }
    finish();
    expect(standing().map(image)).toEqual(["agent:2", "agent:2", "agent:2"]);
    expect(status()?.updatedNumberScheduled).toBe(3);
    expect(world.list(controllerRevisions)).toHaveLength(2);
  });

  test("with surge starts new pods beside the old, which go when the new are available", () => {
    const rollingUpdate = { maxSurge: 1, maxUnavailable: 0 };
    create({ updateStrategy: { type: "RollingUpdate", rollingUpdate } });
    finish();
    setImage("agent:2");
    settle();
    expect(standing()).toHaveLength(4);
    finish();
    expect(standing().map(image)).toEqual(["agent:2", "agent:2", "agent:2"]);
  });

  test("OnDelete waits for the user", () => {
    create({ updateStrategy: { type: "OnDelete" } });
    finish();
    setImage("agent:2");
    finish();
    expect(standing().map(image)).toEqual(["agent:1", "agent:1", "agent:1"]);
    world.remove(pods, keyOf(standing()[0] as Stored<Pod>));
    finish();
    expect(standing().map(image).sort()).toEqual(["agent:1", "agent:1", "agent:2"]);
  });
});

test("property: an update never makes more missing than it may, and ends", () => {
  const scenario = fc.record({
    count: fc.integer({ min: 1, max: 6 }),
    maxUnavailable: fc.integer({ min: 1, max: 3 }),
    surge: fc.boolean(),
    chance: fc.infiniteStream(fc.double({ min: 0, max: 1, noNaN: true })),
  });
  fc.assert(
    fc.property(scenario, ({ count, maxUnavailable, surge, chance }) => {
      reset(Array.from({ length: count }, (_, i) => `n${i}`));
      const rollingUpdate = surge
        ? { maxSurge: maxUnavailable, maxUnavailable: 0 }
        : { maxSurge: 0, maxUnavailable };
      create({ updateStrategy: { type: "RollingUpdate", rollingUpdate } });
      finish();
      world.gracefulPods = true;
      setImage("agent:2");
      const least = surge ? count : count - maxUnavailable;
      const next = () => chance.next().value ?? 0.5;
      for (let step = 0; step < 80; step++) {
        world.run(controller, KEY, next());
        for (const pod of world.list(pods)) {
          if (pod.status?.phase === undefined && next() < 0.4) start(pod);
          if (pod.metadata.deletionTimestamp && next() < 0.5) world.remove(pods, keyOf(pod));
        }
        const ready = standing().filter((pod) => pod.status?.conditions?.[0]?.status === "True");
        expect(new Set(at(ready)).size).toBeGreaterThanOrEqual(least);
      }
      world.gracefulPods = false;
      for (const pod of world.list(pods)) {
        if (pod.metadata.deletionTimestamp) world.remove(pods, keyOf(pod));
      }
      finish();
      expect(standing()).toHaveLength(count);
      expect(standing().every((pod) => image(pod) === "agent:2")).toBe(true);
    }),
    tries(50),
  );
});
