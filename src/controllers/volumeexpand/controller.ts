import { type Controller, trigger } from "#client/controller.ts";
import { isSmall, plan, type State } from "#controllers/volumeexpand/plan.ts";
import { persistentVolumes } from "#resources/kinds/persistentvolume.ts";
import { persistentVolumeClaims } from "#resources/kinds/persistentvolumeclaim.ts";

export const volumeExpandController: Controller<State> = {
  name: "volume-expand",
  kind: persistentVolumeClaims,
  triggers: [
    trigger(persistentVolumes, ({ spec }) =>
      spec?.claimRef ? [`${spec.claimRef.namespace}/${spec.claimRef.name}`] : [],
    ),
  ],
  read(key, { caches }) {
    const claim = caches.of(persistentVolumeClaims).get(key);
    if (claim === undefined || !isSmall(claim)) return undefined;
    const volume = caches.of(persistentVolumes).get(claim.spec?.volumeName ?? "");
    return volume && { claim, volume };
  },
  plan,
};
