import type { Index } from "#client/cache.types.ts";
import { type Controller, trigger } from "#client/controller.ts";
import { plan, type State } from "#controllers/volumebinder/plan.ts";
import { persistentVolumes } from "#resources/kinds/persistentvolume.ts";
import { persistentVolumeClaims } from "#resources/kinds/persistentvolumeclaim.ts";
import { keyOf, type Stored } from "#resources/meta.ts";
import type { PersistentVolume } from "#resources/types.gen.ts";

/** Volumes by the key of the claim that they name. */
const byClaim: Index<PersistentVolume> = {
  name: "claim",
  values: ({ spec }) => {
    const ref = spec?.claimRef;
    return ref?.name ? [`${ref.namespace}/${ref.name}`] : [];
  },
};

const claimRef = (volume: Stored<PersistentVolume>) => {
  const { name = "", namespace = "" } = volume.spec?.claimRef ?? {};
  return { name, namespace };
};

export const volumeBinderController: Controller<State> = {
  name: "persistentvolume",
  kind: persistentVolumes,
  triggers: [
    trigger(persistentVolumeClaims, (claim, caches) => [
      ...caches.of(persistentVolumes).indexed(byClaim, keyOf(claim)).map(keyOf),
      ...(claim.spec?.volumeName ? [claim.spec.volumeName] : []),
    ]),
  ],
  read(key, { caches }) {
    const volume = caches.of(persistentVolumes).get(key);
    if (volume === undefined) return undefined;
    const { namespace, name } = claimRef(volume);
    return { volume, claim: caches.of(persistentVolumeClaims).get(`${namespace}/${name}`) };
  },
  async confirm(state, client) {
    const ref = state.volume.spec?.claimRef;
    if (!ref?.uid || state.claim?.metadata.uid === ref.uid) return state;
    // Data may depend on it: that the claim is gone is asked for, not guessed.
    return { ...state, claim: await client.get(persistentVolumeClaims, claimRef(state.volume)) };
  },
  plan,
};
