import type { Clock } from "#base/clock.ts";
import type { Caches } from "#client/cache.types.ts";
import { type Controller, trigger } from "#client/controller.ts";
import { isTerminal, podsByNode } from "#controllers/common/pods.ts";
import { MissingNodes, nodeKey, nodeOfKey } from "#controllers/podgc/missing.ts";
import { type MissingNode, plan, QUARANTINE_MS, type State } from "#controllers/podgc/plan.ts";
import { nodes } from "#resources/kinds/node.ts";
import { pods } from "#resources/kinds/pod.ts";
import { keyOf, type Stored } from "#resources/meta.ts";
import type { Pod } from "#resources/types.gen.ts";

/** Ended pods kept for their logs and statuses (terminated-pod-gc-threshold upstream). */
const TERMINATED_MAX = 12_500;

export function podGcController(
  clock: Clock,
  terminatedMax = TERMINATED_MAX,
): Controller<State | MissingNode> {
  const missing = new MissingNodes(clock);
  /** Ended pods, the oldest first: they end in about that order. */
  const ended = new Set<string>();

  function count(before: Stored<Pod> | undefined, after: Stored<Pod> | undefined): void {
    if (after !== undefined && isTerminal(after)) ended.add(keyOf(after));
    else if (before !== undefined) ended.delete(keyOf(before));
  }

  /** Nothing is to be done about a pod that runs on a node, or waits for one. */
  function keysOf(pod: Stored<Pod>, caches: Caches): string[] {
    const { nodeName = "" } = pod.spec ?? {};
    const isLost = nodeName !== "" && caches.of(nodes).get(nodeName) === undefined;
    const keys = isLost && !missing.isAwaited(nodeName) ? [nodeKey(nodeName)] : [];
    const leaves = pod.metadata.deletionTimestamp !== undefined && !isLost;
    if (isTerminal(pod) || leaves) keys.push(keyOf(pod));
    return keys;
  }

  const oldest = (many: number): string[] => ended.values().take(many).toArray();

  return {
    name: "podgc",
    kind: pods,
    // A pod that ends may make another one, the oldest, one too many.
    keys: (pod, caches) => [
      ...keysOf(pod, caches),
      ...(ended.size > terminatedMax ? oldest(1) : []),
    ],
    changed(change) {
      const before = change.before as Stored<Pod> | undefined;
      const after = change.after as Stored<Pod> | undefined;
      count(before, after);
      const shown = (pod: Stored<Pod> | undefined) =>
        pod && `${isTerminal(pod)} ${pod.spec?.nodeName} ${pod.metadata.deletionTimestamp}`;
      return after !== undefined && shown(before) !== shown(after);
    },
    triggers: [
      trigger(
        nodes,
        ({ metadata: { name } }, caches) => {
          if (caches.of(nodes).get(name) === undefined) return [nodeKey(name)];
          return [nodeKey(name), ...caches.of(pods).indexed(podsByNode, name).map(keyOf)];
        },
        {
          changed: ({ before, after }) =>
            (before === undefined) !== (after === undefined) ||
            before?.spec?.taints?.length !== after?.spec?.taints?.length,
        },
      ),
    ],
    read(key, world) {
      const missed = nodeOfKey(key);
      if (missed !== undefined) return missing.read(missed, world);
      const { caches } = world;
      const pod = caches.of(pods).get(key);
      if (pod === undefined) return undefined;
      if (isTerminal(pod)) ended.add(key);
      const node = caches.of(nodes).get(pod.spec?.nodeName ?? "");
      const surplus = ended.size > terminatedMax && oldest(1).includes(key);
      return { pod, node, missedMs: missing.missedMs(pod, world), surplus };
    },
    async confirm(state, client) {
      if ("missed" in state) return state;
      if (state.missedMs === undefined || state.missedMs < QUARANTINE_MS) return state;
      const node = await client.get(nodes, { name: state.pod.spec?.nodeName ?? "" });
      return node === undefined ? state : { ...state, node, missedMs: undefined };
    },
    plan,
  };
}
