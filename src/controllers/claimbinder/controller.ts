import type { Caches } from "#client/cache.types.ts";
import { type Controller, trigger } from "#client/controller.ts";
import { plan, type State } from "#controllers/claimbinder/plan.ts";
import { claimClass, isDefaultClass } from "#controllers/common/volumes.ts";
import { persistentVolumes } from "#resources/kinds/persistentvolume.ts";
import { persistentVolumeClaims } from "#resources/kinds/persistentvolumeclaim.ts";
import { storageClasses } from "#resources/kinds/storageclass.ts";
import { keyOf, refKey, type Stored } from "#resources/meta.ts";
import type { PersistentVolume } from "#resources/types.gen.ts";
import { className } from "#resources/volumematch.ts";

/** The claim of a volume; for a free one all claims of its class that have none. */
function claimsFor(volume: Stored<PersistentVolume>, caches: Caches): string[] {
  const ref = volume.spec?.claimRef;
  if (ref?.name) return [refKey({ namespace: ref.namespace, name: ref.name })];
  const all = caches.of(persistentVolumeClaims).list();
  const name = className(volume);
  return all
    .filter((claim) => {
      const wants = claim.spec?.volumeName;
      return wants ? wants === volume.metadata.name : (claimClass(claim) ?? "") === name;
    })
    .map(keyOf);
}

/** The newest class that is marked as the default one. */
function defaultClass(caches: Caches): string | undefined {
  const marked = caches.of(storageClasses).list().filter(isDefaultClass);
  const newest = [...marked].sort((a, b) => {
    const [left, right] = [a.metadata.creationTimestamp, b.metadata.creationTimestamp];
    return left === right ? (a.metadata.name < b.metadata.name ? -1 : 1) : left < right ? 1 : -1;
  });
  return newest[0]?.metadata.name;
}

export const claimBinderController: Controller<State> = {
  name: "persistentvolume-binder",
  kind: persistentVolumeClaims,
  // One at a time: two claims must not choose the same volume.
  parallel: 1,
  triggers: [
    trigger(persistentVolumes, claimsFor),
    trigger(storageClasses, ({ metadata }, caches) =>
      caches
        .of(persistentVolumeClaims)
        .list()
        .filter((claim) => !claim.spec?.volumeName)
        .filter((claim) => (claimClass(claim) ?? metadata.name) === metadata.name)
        .map(keyOf),
    ),
  ],
  read(key, { caches }) {
    const claim = caches.of(persistentVolumeClaims).get(key);
    if (claim === undefined) return undefined;
    const name = claimClass(claim);
    const volumes = caches.of(persistentVolumes);
    const bound = volumes.get(claim.spec?.volumeName ?? "");
    return {
      claim,
      volumes: claim.spec?.volumeName ? (bound ? [bound] : []) : volumes.list(),
      storageClass: name ? caches.of(storageClasses).get(name) : undefined,
      defaultClass: name === undefined ? defaultClass(caches) : undefined,
    };
  },
  plan,
};
