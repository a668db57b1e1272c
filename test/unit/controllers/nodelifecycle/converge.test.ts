import { expect } from "bun:test";
import fc from "fast-check";
import { isReady } from "#controllers/common/pods.ts";
import { nodeLifecycleController } from "#controllers/nodelifecycle/controller.ts";
import { leases } from "#resources/kinds/lease.ts";
import { nodes } from "#resources/kinds/node.ts";
import { pods } from "#resources/kinds/pod.ts";
import { anyPod, NODES, putPod } from "#test/support/anypod.ts";
import { converges } from "#test/support/converge.ts";
import type { World } from "#test/support/world.ts";

const GRACE_MS = 10_000;
const KEY = "node.kubernetes.io/";
const anyNode = fc.record({
  alive: fc.boolean(),
  ready: fc.constantFrom(undefined, "True", "False", "Unknown"),
  pressure: fc.boolean(),
  cordoned: fc.boolean(),
  taints: fc.subarray(["unreachable", "not-ready", "memory-pressure", "unschedulable"]),
});

function renew(world: World, name: string): void {
  const renewTime = new Date(world.now).toISOString();
  world.put(leases, { metadata: { namespace: "kube-node-lease", name }, spec: { renewTime } });
}

converges("taints say what is known of each node, and those of others stay", {
  any: fc.record({
    nodes: fc.tuple(anyNode, anyNode, anyNode),
    pods: fc.array(anyPod, { maxLength: 6 }),
  }),
  build(world, value, clock) {
    for (const [i, one] of value.nodes.entries()) {
      const known = one.ready === undefined ? [] : [{ type: "Ready", status: one.ready }];
      const status = one.pressure ? "True" : "False";
      world.put(nodes, {
        metadata: { name: NODES[i] ?? "" },
        spec: {
          unschedulable: one.cordoned,
          taints: [
            { key: "mine", effect: "NoSchedule" },
            ...one.taints.map((name) => ({ key: `${KEY}${name}`, effect: "NoSchedule" })),
          ],
        },
        status: { conditions: [...known, { type: "MemoryPressure", status }] },
      });
      renew(world, NODES[i] ?? "");
    }
    for (const [i, one] of value.pods.entries()) putPod(world, `p${i}`, one);
    return [nodeLifecycleController(clock, GRACE_MS)];
  },
  meanwhile(world, value) {
    for (const [i, { alive }] of value.nodes.entries()) if (alive) renew(world, NODES[i] ?? "");
  },
  rest(world, value) {
    const someAlive = value.nodes.some(({ alive }) => alive);
    for (const [i, one] of value.nodes.entries()) {
      const node = world.get(nodes, NODES[i] ?? "");
      const taints = (node?.spec?.taints ?? []).map(({ key, effect }) => `${key}:${effect}`);
      expect(taints).toContain("mine:NoSchedule");
      const has = (name: string, effect: string) => taints.includes(`${KEY}${name}:${effect}`);
      const ready = one.alive ? one.ready : "Unknown";
      expect(node?.status?.conditions?.find(({ type }) => type === "Ready")?.status).toBe(ready);
      expect(has("unreachable", "NoSchedule")).toBe(ready === "Unknown");
      expect(has("not-ready", "NoSchedule")).toBe(ready === undefined || ready === "False");
      expect(has("memory-pressure", "NoSchedule")).toBe(one.alive && one.pressure);
      expect(has("unschedulable", "NoSchedule")).toBe(one.cordoned);
      expect(new Set(taints).size).toBe(taints.length);
      // Who hears of nobody is cut off itself: then nothing is driven away.
      if (!one.alive) expect(has("unreachable", "NoExecute")).toBe(someAlive);
      if (!one.alive) {
        const here = world.list(pods).filter(({ spec }) => spec?.nodeName === NODES[i]);
        expect(here.filter(isReady)).toEqual([]);
      }
    }
  },
  roundsMax: 6,
  horizonMs: 120_000,
});
