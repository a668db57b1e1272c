import { type Controller, trigger } from "#client/controller.ts";
import { byController, controllerKey, orphans } from "#controllers/common/owner.ts";
import { suitors } from "#controllers/common/suitors.ts";
import { failed, plan, type State } from "#controllers/replicaset/plan.ts";
import { pods } from "#resources/kinds/pod.ts";
import { replicaSets } from "#resources/kinds/replicaset.ts";
import { controllerOf } from "#resources/meta.ts";

export const replicaSetController: Controller<State> = {
  name: "replicaset",
  kind: replicaSets,
  triggers: [
    trigger(pods, (pod, caches) =>
      controllerOf(pod) === undefined
        ? suitors(pod, caches.of(replicaSets))
        : controllerKey(pod, replicaSets),
    ),
  ],
  read(key, { caches, random }) {
    const set = caches.of(replicaSets).get(key);
    if (set === undefined) return undefined;
    const podCache = caches.of(pods);
    const owned = podCache.indexed(byController, set.metadata.uid);
    const owner = controllerOf(set)?.uid;
    const siblings =
      owner === undefined ? [set] : caches.of(replicaSets).indexed(byController, owner);
    return {
      set,
      owned,
      free: podCache.indexed(orphans, set.metadata.namespace ?? ""),
      related: siblings.flatMap((one) => podCache.indexed(byController, one.metadata.uid)),
      seed: random(),
    };
  },
  plan,
  failed,
};
