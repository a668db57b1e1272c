import { expect, test } from "bun:test";
import { taintEvictionController } from "#controllers/tainteviction/controller.ts";
import { ON_NODE_LOSS, plan } from "#controllers/tainteviction/plan.ts";
import { nodes } from "#resources/kinds/node.ts";
import { pods } from "#resources/kinds/pod.ts";
import type { Toleration } from "#resources/types.gen.ts";
import { World } from "#test/support/world.ts";

const UNREACHABLE = "node.kubernetes.io/unreachable";
const world = new World();

function state(options: {
  tolerations?: Toleration[];
  taint?: string;
  effect?: string;
  owner?: string;
  annotations?: Record<string, string>;
  deleting?: boolean;
}) {
  const {
    tolerations = [],
    taint = UNREACHABLE,
    effect = "NoExecute",
    owner,
    annotations,
  } = options;
  const node = world.put(nodes, {
    metadata: { name: "n1" },
    spec: { taints: [{ key: taint, effect, timeAdded: world.time() }] },
  });
  const reference = { apiVersion: "apps/v1", name: "o", uid: "o", controller: true };
  const pod = world.put(pods, {
    metadata: {
      namespace: "x",
      name: "a",
      ...(annotations && { annotations }),
      ...(owner && { ownerReferences: [{ ...reference, kind: owner }] }),
      ...(options.deleting && { deletionTimestamp: world.time() }),
    },
    spec: { containers: [], nodeName: "n1", tolerations },
    status: { phase: "Running" },
  });
  return { pod, node };
}

const forSeconds = (tolerationSeconds: number): Toleration => ({
  key: UNREACHABLE,
  operator: "Exists",
  effect: "NoExecute",
  tolerationSeconds,
});

function does(options: Parameters<typeof state>[0], laterMs = 0) {
  const { actions, againMs } = plan(state(options), world.now + laterMs);
  const gone = actions.find((action) => action.do === "delete");
  return {
    evicted: gone !== undefined,
    grace: gone?.options?.gracePeriodSeconds,
    againMs,
    actions,
  };
}

test("a pod without a toleration goes at once, with the reason in its status", () => {
  const { evicted, actions } = does({});
  expect(evicted).toBe(true);
  expect(JSON.stringify(actions[0])).toContain("DeletionByTaintManager");
});

test("a pod that tolerates for a time goes after it, counted from the taint", () => {
  const tolerations = [forSeconds(5)];
  expect(does({ tolerations }, 2000)).toMatchObject({ evicted: false, againMs: 3000 });
  expect(does({ tolerations }, 5000).evicted).toBe(true);
});

test("a pod that tolerates for ever stays, as do those of other effects", () => {
  expect(does({ tolerations: [{ operator: "Exists" }] }, 1e9)).toMatchObject({ evicted: false });
  expect(does({ effect: "NoSchedule" }).evicted).toBe(false);
  expect(does({ deleting: true }).evicted).toBe(false);
});

test("on a lost node a ReplicaSet's pod is forced, a StatefulSet's and a bare one are not", () => {
  expect(does({ owner: "ReplicaSet" }).grace).toBe(0);
  expect(does({ owner: "StatefulSet" })).toMatchObject({ evicted: true, grace: undefined });
  expect(does({})).toMatchObject({ evicted: true, grace: undefined });
  expect(does({ owner: "ReplicaSet", taint: "custom" })).toMatchObject({ grace: undefined });
});

test("a pod marked to wait for its node stays, but not against a taint of an operator", () => {
  const annotations = { [ON_NODE_LOSS]: "wait" };
  expect(does({ annotations }, 1e9).evicted).toBe(false);
  expect(does({ annotations, taint: "custom" }).evicted).toBe(true);
});

test("only pods on a node that drives pods out are looked at", () => {
  const keys = (options: Parameters<typeof state>[0]) =>
    taintEvictionController.keys?.(state(options).pod, world.caches);
  expect(keys({})).toEqual(["x/a"]);
  expect(keys({ effect: "NoSchedule" })).toEqual([]);
  world.remove(nodes, "n1");
  const [pod] = world.items(pods).list(undefined);
  expect(pod && taintEvictionController.keys?.(pod, world.caches)).toEqual([]);
});
