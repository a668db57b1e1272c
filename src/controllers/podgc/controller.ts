import type { Clock } from "#base/clock.ts";
import type { Caches } from "#client/cache.types.ts";
import { type Controller, trigger } from "#client/controller.ts";
import { isTerminal, podsByNode } from "#controllers/common/pods.ts";
import { timeMs } from "#controllers/common/time.ts";
import { plan, QUARANTINE_MS, type State } from "#controllers/podgc/plan.ts";
import { nodes } from "#resources/kinds/node.ts";
import { pods } from "#resources/kinds/pod.ts";
import { keyOf, type Stored } from "#resources/meta.ts";
import type { Pod } from "#resources/types.gen.ts";

/** Ended pods kept for their logs and statuses (terminated-pod-gc-threshold upstream). */
const TERMINATED_MAX = 12_500;

/** Whoever binds a pod to a node that is yet to come gives it the same time. */
function youngest(missedMs: number | undefined, pod: Stored<Pod>, now: number): number | undefined {
  if (missedMs === undefined) return undefined;
  return Math.min(missedMs, Math.max(0, now - (timeMs(pod.metadata.creationTimestamp) ?? 0)));
}

export function podGcController(clock: Clock, terminatedMax = TERMINATED_MAX): Controller<State> {
  /** When each missing node was first missed. */
  const missing = new Map<string, number>();
  /** Ended pods, the oldest first: they end in about that order. */
  const ended = new Set<string>();

  function count(before: Stored<Pod> | undefined, after: Stored<Pod> | undefined): void {
    if (after !== undefined && isTerminal(after)) ended.add(keyOf(after));
    else if (before !== undefined) ended.delete(keyOf(before));
  }

  /** Nothing is to be done about a pod that runs on a node, or waits for one. */
  function isInOrder(pod: Stored<Pod>, caches: Caches): boolean {
    if (isTerminal(pod) || pod.metadata.deletionTimestamp !== undefined) return false;
    const { nodeName } = pod.spec ?? {};
    return !nodeName || caches.of(nodes).get(nodeName) !== undefined;
  }

  const oldest = (many: number): string[] => ended.values().take(many).toArray();

  function missed(name: string, known: boolean): number | undefined {
    if (known || name === "") {
      missing.delete(name);
      return undefined;
    }
    const since = missing.get(name) ?? clock.monotonic();
    missing.set(name, since);
    return clock.monotonic() - since;
  }

  return {
    name: "podgc",
    kind: pods,
    // A pod that ends may make another one, the oldest, one too many.
    keys: (pod, caches) => [
      ...(isInOrder(pod, caches) ? [] : [keyOf(pod)]),
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
        (node, caches) => caches.of(pods).indexed(podsByNode, node.metadata.name).map(keyOf),
        {
          changed: ({ before, after }) =>
            (before === undefined) !== (after === undefined) ||
            before?.spec?.taints?.length !== after?.spec?.taints?.length,
        },
      ),
    ],
    read(key, { caches, now }) {
      const pod = caches.of(pods).get(key);
      if (pod === undefined) return undefined;
      if (isTerminal(pod)) ended.add(key);
      const name = pod.spec?.nodeName ?? "";
      const node = caches.of(nodes).get(name);
      const surplus = ended.size > terminatedMax && oldest(1).includes(key);
      const missedMs = missed(name, node !== undefined);
      return { pod, node, missedMs: youngest(missedMs, pod, now), surplus };
    },
    async confirm(state, client) {
      if (state.missedMs === undefined || state.missedMs < QUARANTINE_MS) return state;
      const node = await client.get(nodes, { name: state.pod.spec?.nodeName ?? "" });
      return node === undefined ? state : { ...state, node, missedMs: undefined };
    },
    plan,
  };
}
