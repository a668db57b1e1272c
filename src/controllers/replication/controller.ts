import type { Caches, Index } from "#client/cache.types.ts";
import { type Controller, trigger } from "#client/controller.ts";
import { byController, controllerKey, orphans } from "#controllers/common/owner.ts";
import { candidates, termOf } from "#controllers/common/suitors.ts";
import { failed, plan, type State } from "#controllers/replication/plan.ts";
import { pods } from "#resources/kinds/pod.ts";
import { replicationControllers } from "#resources/kinds/replicationcontroller.ts";
import { controllerOf, keyOf, type Stored } from "#resources/meta.ts";
import { matchLabelSelector } from "#resources/selector.ts";
import type { Pod, ReplicationController } from "#resources/types.gen.ts";

const byTerm: Index<ReplicationController> = {
  name: "term",
  values: ({ metadata, spec }) => [termOf(metadata.namespace, spec?.selector)],
};

/** Sets that may want a pod that nobody controls. */
function suitors(pod: Stored<Pod>, caches: Caches): string[] {
  const labels = pod.metadata.labels ?? {};
  return candidates(pod, caches.of(replicationControllers), byTerm)
    .filter((set) => matchLabelSelector({ matchLabels: set.spec?.selector ?? {} })(labels))
    .map(keyOf);
}

export const replicationController: Controller<State> = {
  name: "replication",
  kind: replicationControllers,
  triggers: [
    trigger(pods, (pod, caches) =>
      controllerOf(pod) === undefined
        ? suitors(pod, caches)
        : controllerKey(pod, replicationControllers),
    ),
  ],
  read(key, { caches, random }) {
    const set = caches.of(replicationControllers).get(key);
    if (set === undefined) return undefined;
    const podCache = caches.of(pods);
    const owned = podCache.indexed(byController, set.metadata.uid);
    return {
      set,
      owned,
      free: podCache.indexed(orphans, set.metadata.namespace ?? ""),
      related: owned,
      seed: random(),
    };
  },
  plan,
  failed,
};
