import { type Controller, trigger } from "#client/controller.ts";
import { byController, controllerKey, orphans } from "#controllers/common/owner.ts";
import { suitors } from "#controllers/common/suitors.ts";
import { claimName, firstOrdinal, ordinalOf } from "#controllers/statefulset/identity.ts";
import { failed, plan, type State } from "#controllers/statefulset/plan.ts";
import { controllerRevisions } from "#resources/kinds/controllerrevision.ts";
import { persistentVolumeClaims } from "#resources/kinds/persistentvolumeclaim.ts";
import { pods } from "#resources/kinds/pod.ts";
import { statefulSets } from "#resources/kinds/statefulset.ts";
import { controllerOf, keyOf, type Stored } from "#resources/meta.ts";
import type { PersistentVolumeClaim } from "#resources/types.gen.ts";

export const statefulSetController: Controller<State> = {
  name: "statefulset",
  kind: statefulSets,
  triggers: [
    trigger(pods, (pod, caches) => {
      if (controllerOf(pod) !== undefined) return controllerKey(pod, statefulSets);
      return suitors(pod, caches.of(statefulSets));
    }),
    trigger(controllerRevisions, (revision, caches) => {
      if (controllerOf(revision) !== undefined) return controllerKey(revision, statefulSets);
      return suitors(revision, caches.of(statefulSets));
    }),
    // Only the end of a claim can hold a pod back.
    trigger(
      persistentVolumeClaims,
      ({ metadata }, caches) => {
        const all = caches.of(statefulSets).list(metadata.namespace);
        return all.filter((set) => metadata.name.includes(`-${set.metadata.name}-`)).map(keyOf);
      },
      { changed: ({ after }) => after === undefined },
    ),
  ],
  read(key, { caches }) {
    const set = caches.of(statefulSets).get(key);
    if (set === undefined) return undefined;
    const { uid, namespace = "" } = set.metadata;
    const owned = caches.of(pods).indexed(byController, uid);
    const ordinals = new Set(owned.map((pod) => ordinalOf(set, pod.metadata.name) ?? -1));
    const first = firstOrdinal(set);
    for (let i = 0; i < (set.spec?.replicas ?? 1); i++) ordinals.add(first + i);
    const claims = new Map<string, Stored<PersistentVolumeClaim>>();
    for (const template of set.spec?.volumeClaimTemplates ?? []) {
      for (const ordinal of ordinals) {
        const name = claimName(set, template.metadata?.name ?? "", ordinal);
        const found = caches.of(persistentVolumeClaims).get(`${namespace}/${name}`);
        if (found !== undefined) claims.set(name, found);
      }
    }
    return {
      set,
      owned,
      free: caches.of(pods).indexed(orphans, namespace),
      revisions: caches.of(controllerRevisions).indexed(byController, uid),
      looseRevisions: caches.of(controllerRevisions).indexed(orphans, namespace),
      revisionNamed: (name) => caches.of(controllerRevisions).get(`${namespace}/${name}`),
      claims,
    };
  },
  plan,
  failed,
};
