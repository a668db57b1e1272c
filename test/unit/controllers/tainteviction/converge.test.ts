import { expect } from "bun:test";
import fc from "fast-check";
import { taintEvictionController } from "#controllers/tainteviction/controller.ts";
import { nodes } from "#resources/kinds/node.ts";
import { pods } from "#resources/kinds/pod.ts";
import { anyPod, putPod } from "#test/support/anypod.ts";
import { converges } from "#test/support/converge.ts";

const KEY = "node.kubernetes.io/unreachable";
const seconds = fc.integer({ min: 0, max: 100 });

interface Tolerance {
  tolerates: boolean;
  seconds: number | null;
}

/** Seconds after the taint; undefined: it may stay for ever. */
const dueOf = ({ tolerates, seconds: some }: Tolerance): number | undefined =>
  tolerates ? (some ?? undefined) : 0;

const START = Date.UTC(2026, 0, 1);

converges("a pod is driven off when its time is over, and never a moment before", {
  any: fc.record({
    effect: fc.constantFrom("NoExecute", "NoSchedule"),
    pods: fc.array(
      fc.record({ pod: anyPod, tolerates: fc.boolean(), seconds: fc.option(seconds) }),
      { maxLength: 6 },
    ),
  }),
  build(world, { effect, pods: all }) {
    const taint = { key: KEY, effect, timeAdded: world.time() };
    world.put(nodes, { metadata: { name: "n1" }, spec: { taints: [taint] } });
    for (const [i, { pod, tolerates, seconds: some }] of all.entries()) {
      const one = { key: KEY, operator: "Exists", effect: "NoExecute" };
      const limit = some === null ? {} : { tolerationSeconds: some };
      const tolerations = tolerates ? [{ ...one, ...limit }] : [];
      putPod(world, `p${i}`, { ...pod, node: "n1" }, { spec: { containers: [], tolerations } });
    }
    return [taintEvictionController];
  },
  always(world, value, action) {
    if (action.do !== "delete") return;
    expect(value.effect).toBe("NoExecute");
    const due = dueOf(
      value.pods[Number(action.ref.name.slice(1))] ?? { tolerates: true, seconds: null },
    );
    expect(due).toBeDefined();
    expect(world.now - START).toBeGreaterThanOrEqual((due ?? 0) * 1000);
  },
  rest(world, value) {
    for (const [i, one] of value.pods.entries()) {
      const stays = one.pod.goes || value.effect === "NoSchedule" || dueOf(one) === undefined;
      expect([i, world.get(pods, `x/p${i}`) !== undefined]).toEqual([i, stays]);
    }
  },
  roundsMax: 6,
  horizonMs: 200_000,
});
