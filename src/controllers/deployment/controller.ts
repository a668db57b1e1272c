import { type Controller, trigger } from "#client/controller.ts";
import { byController, controllerKey, orphans } from "#controllers/common/owner.ts";
import { isTerminal } from "#controllers/common/pods.ts";
import { suitors } from "#controllers/common/suitors.ts";
import { failed, plan, type State } from "#controllers/deployment/plan.ts";
import { deployments } from "#resources/kinds/deployment.ts";
import { pods } from "#resources/kinds/pod.ts";
import { replicaSets } from "#resources/kinds/replicaset.ts";
import { controllerOf } from "#resources/meta.ts";

export const deploymentController: Controller<State> = {
  name: "deployment",
  kind: deployments,
  triggers: [
    trigger(replicaSets, (set, caches) => {
      if (controllerOf(set) !== undefined) return controllerKey(set, deployments);
      return suitors(set, caches.of(deployments));
    }),
    // Recreate waits for the end of the last old pod; nothing else of a pod matters here.
    trigger(
      pods,
      (pod, caches) => {
        const setKey = controllerKey(pod, replicaSets)[0];
        const set = setKey === undefined ? undefined : caches.of(replicaSets).get(setKey);
        const keys = set === undefined ? [] : controllerKey(set, deployments);
        const recreates = (key: string) =>
          caches.of(deployments).get(key)?.spec?.strategy?.type === "Recreate";
        return keys.filter(recreates);
      },
      { changed: ({ after }) => after === undefined || isTerminal(after) },
    ),
  ],
  read(key, { caches }) {
    const deployment = caches.of(deployments).get(key);
    if (deployment === undefined) return undefined;
    const sets = caches.of(replicaSets);
    const owned = sets.indexed(byController, deployment.metadata.uid);
    const running = new Set<string>();
    if (deployment.spec?.strategy?.type === "Recreate") {
      for (const { metadata } of owned) {
        const own = caches.of(pods).indexed(byController, metadata.uid);
        if (!own.every(isTerminal)) running.add(metadata.uid);
      }
    }
    const free = sets.indexed(orphans, deployment.metadata.namespace ?? "");
    return { deployment, owned, free, running };
  },
  plan,
  failed,
};
