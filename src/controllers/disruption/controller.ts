import type { Caches } from "#client/cache.types.ts";
import { type Controller, trigger } from "#client/controller.ts";
import { endpointChanged, podsMatching } from "#controllers/common/service.ts";
import { suitors } from "#controllers/common/suitors.ts";
import { plan, type State } from "#controllers/disruption/plan.ts";
import type { Kind } from "#resources/kind.ts";
import { deployments } from "#resources/kinds/deployment.ts";
import { pods } from "#resources/kinds/pod.ts";
import { podDisruptionBudgets } from "#resources/kinds/poddisruptionbudget.ts";
import { replicaSets } from "#resources/kinds/replicaset.ts";
import { replicationControllers } from "#resources/kinds/replicationcontroller.ts";
import { statefulSets } from "#resources/kinds/statefulset.ts";
import { type ApiObject, controllerOf, keyOf, type Stored } from "#resources/meta.ts";
import type { Pod } from "#resources/types.gen.ts";

interface Scaled extends ApiObject {
  spec?: { replicas?: number };
}

const scaled: ReadonlyArray<Kind<Scaled>> = [
  replicaSets,
  replicationControllers,
  statefulSets,
  deployments,
];

function owner(object: Stored, caches: Caches): Stored<Scaled> | undefined {
  const ref = controllerOf(object);
  const kind = scaled.find((one) => one.kind === ref?.kind);
  if (ref === undefined || kind === undefined) return undefined;
  const found = caches.of(kind).get(`${object.metadata.namespace}/${ref.name}`);
  return found?.metadata.uid === ref.uid ? found : undefined;
}

/** The one at the top: a Deployment rather than its ReplicaSet. */
function scaleOf(
  pod: Stored<Pod>,
  caches: Caches,
): { owner: string; replicas: number } | undefined {
  const direct = owner(pod, caches);
  if (direct === undefined) return undefined;
  const top = owner(direct, caches) ?? direct;
  return { owner: top.metadata.uid, replicas: top.spec?.replicas ?? 1 };
}

const budgetsOf = (pod: Stored<Pod>, caches: Caches): string[] =>
  suitors(pod, caches.of(podDisruptionBudgets));

const budgetsIn = (namespace: string | undefined, caches: Caches) =>
  caches.of(podDisruptionBudgets).list(namespace);

export const disruptionController: Controller<State> = {
  name: "disruption",
  kind: podDisruptionBudgets,
  triggers: [
    trigger(pods, budgetsOf, { changed: endpointChanged }),
    ...scaled.map((kind) =>
      trigger(kind, ({ metadata }, caches) => budgetsIn(metadata.namespace, caches).map(keyOf), {
        changed: ({ before, after }) => before?.spec?.replicas !== after?.spec?.replicas,
      }),
    ),
  ],
  read(key, { caches }) {
    const budget = caches.of(podDisruptionBudgets).get(key);
    if (budget === undefined) return undefined;
    const { namespace = "" } = budget.metadata;
    const chosen = podsMatching(caches.of(pods), namespace, budget.spec?.selector);
    const scales = new Map<string, { owner: string; replicas: number }>();
    for (const pod of chosen) {
      const scale = scaleOf(pod, caches);
      if (scale !== undefined) scales.set(pod.metadata.uid, scale);
    }
    return { budget, pods: chosen, scaleOf: scales };
  },
  plan,
};
