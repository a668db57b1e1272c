import { expect } from "bun:test";
import fc from "fast-check";
import { podGcController } from "#controllers/podgc/controller.ts";
import { nodes } from "#resources/kinds/node.ts";
import { pods } from "#resources/kinds/pod.ts";
import { anyPod, NODES, putPod } from "#test/support/anypod.ts";
import { converges } from "#test/support/converge.ts";

const OUT = { key: "node.kubernetes.io/out-of-service", effect: "NoExecute" };
const names: ReadonlyArray<string | undefined> = NODES;
const anyNode = fc.option(
  fc.record({ ready: fc.constantFrom("True", "False", "Unknown"), out: fc.boolean() }),
);

converges("only pods that nobody will ever finish are removed", {
  any: fc.record({
    nodes: fc.tuple(anyNode, anyNode, anyNode),
    pods: fc.array(anyPod, { maxLength: 10 }),
  }),
  build(world, value, clock) {
    for (const [i, one] of value.nodes.entries()) {
      if (one === null) continue;
      world.put(nodes, {
        metadata: { name: NODES[i] ?? "" },
        spec: { taints: one.out ? [OUT] : [] },
        status: { conditions: [{ type: "Ready", status: one.ready }] },
      });
    }
    for (const [i, one] of value.pods.entries()) putPod(world, `p${i}`, one);
    return [podGcController(clock)];
  },
  rest(world, value) {
    for (const [i, { node, goes, owned }] of value.pods.entries()) {
      const at = names.indexOf(node);
      const known = at < 0 ? undefined : value.nodes[at];
      const lost = goes && known?.ready === "Unknown" && owned;
      const out = goes && known?.out === true && known.ready !== "True";
      const removed = node === undefined ? goes : known === null || lost || out;
      expect([i, world.get(pods, `x/p${i}`) === undefined]).toEqual([i, removed]);
    }
  },
  roundsMax: 3,
  horizonMs: 60_000,
});
