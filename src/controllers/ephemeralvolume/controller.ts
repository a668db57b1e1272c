import { type Controller, trigger } from "#client/controller.ts";
import { plan, type State } from "#controllers/ephemeralvolume/plan.ts";
import { persistentVolumeClaims } from "#resources/kinds/persistentvolumeclaim.ts";
import { pods } from "#resources/kinds/pod.ts";
import { controllerOf, type Stored } from "#resources/meta.ts";
import type { PersistentVolumeClaim, Pod } from "#resources/types.gen.ts";

const ephemeral = (pod: Stored<Pod> | undefined) =>
  (pod?.spec?.volumes ?? []).filter((volume) => volume.ephemeral !== undefined);

export const ephemeralController: Controller<State> = {
  name: "ephemeralvolume",
  kind: pods,
  changed: ({ before, after }) =>
    before === undefined && ephemeral(after as Stored<Pod> | undefined).length > 0,
  triggers: [
    trigger(
      persistentVolumeClaims,
      (claim) => {
        const owner = controllerOf(claim);
        return owner?.kind === "Pod" ? [`${claim.metadata.namespace}/${owner.name}`] : [];
      },
      { changed: ({ after }) => after === undefined },
    ),
  ],
  read(key, { caches }) {
    const pod = caches.of(pods).get(key);
    const volumes = ephemeral(pod);
    if (pod === undefined || volumes.length === 0) return undefined;
    const claims = new Map<string, Stored<PersistentVolumeClaim>>();
    for (const { name } of volumes) {
      const claimName = `${pod.metadata.name}-${name}`;
      const key = `${pod.metadata.namespace}/${claimName}`;
      const found = caches.of(persistentVolumeClaims).get(key);
      if (found !== undefined) claims.set(claimName, found);
    }
    return { pod, claims };
  },
  plan,
};
