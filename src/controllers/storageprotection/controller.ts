import { type Controller, trigger } from "#client/controller.ts";
import { claimNames, podsByClaim } from "#controllers/common/volumes.ts";
import { plan, type State } from "#controllers/storageprotection/plan.ts";
import { persistentVolumes } from "#resources/kinds/persistentvolume.ts";
import { persistentVolumeClaims } from "#resources/kinds/persistentvolumeclaim.ts";
import { pods } from "#resources/kinds/pod.ts";
import { volumeAttributesClasses } from "#resources/kinds/volumeattributesclass.ts";
import type { PersistentVolume, PersistentVolumeClaim } from "#resources/types.gen.ts";

const CLAIM_FINALIZER = "kubernetes.io/pvc-protection";
const VOLUME_FINALIZER = "kubernetes.io/pv-protection";
const CLASS_FINALIZER = "kubernetes.io/vac-protection";

export const claimProtection: Controller<State> = {
  name: "pvc-protection",
  kind: persistentVolumeClaims,
  triggers: [
    trigger(pods, (pod) => claimNames(pod).map((name) => `${pod.metadata.namespace}/${name}`), {
      changed: ({ after, before }) =>
        after === undefined || after.status?.phase !== before?.status?.phase,
    }),
  ],
  read(key, { caches }) {
    const claim = caches.of(persistentVolumeClaims).get(key);
    if (claim === undefined) return undefined;
    // A pod without a node has mounted nothing.
    const used = caches
      .of(pods)
      .indexed(podsByClaim, key)
      .some((pod) => pod.spec?.nodeName);
    return { kind: persistentVolumeClaims, object: claim, finalizer: CLAIM_FINALIZER, used };
  },
  async confirm(state, client) {
    if (state.used || state.object.metadata.deletionTimestamp === undefined) return state;
    // The cache may not show the pod yet that has just been bound: data would go under its feet.
    const { namespace = "", name } = state.object.metadata;
    const { items } = await client.list(pods, { namespace });
    const used = items.some((pod) => {
      const ended = pod.status?.phase === "Succeeded" || pod.status?.phase === "Failed";
      return !ended && Boolean(pod.spec?.nodeName) && claimNames(pod).includes(name);
    });
    return { ...state, used };
  },
  plan,
};

export const volumeProtection: Controller<State> = {
  name: "pv-protection",
  kind: persistentVolumes,
  triggers: [],
  read(key, { caches }) {
    const volume = caches.of(persistentVolumes).get(key);
    if (volume === undefined) return undefined;
    const used = volume.status?.phase === "Bound";
    return { kind: persistentVolumes, object: volume, finalizer: VOLUME_FINALIZER, used };
  },
  plan,
};

const ofVolume = ({ spec }: PersistentVolume): string[] =>
  spec?.volumeAttributesClassName ? [spec.volumeAttributesClassName] : [];

/** The class that a claim has, had, and is on its way to. */
const ofClaim = ({ spec, status }: PersistentVolumeClaim): string[] =>
  [
    spec?.volumeAttributesClassName,
    status?.currentVolumeAttributesClassName,
    status?.modifyVolumeStatus?.targetVolumeAttributesClassName,
  ].filter((name) => name !== undefined && name !== "") as string[];

export const attributesClassProtection: Controller<State> = {
  name: "vac-protection",
  kind: volumeAttributesClasses,
  triggers: [trigger(persistentVolumes, ofVolume), trigger(persistentVolumeClaims, ofClaim)],
  read(key, { caches }) {
    const found = caches.of(volumeAttributesClasses).get(key);
    if (found === undefined) return undefined;
    const used =
      caches
        .of(persistentVolumes)
        .list()
        .some((volume) => ofVolume(volume).includes(key)) ||
      caches
        .of(persistentVolumeClaims)
        .list()
        .some((claim) => ofClaim(claim).includes(key));
    return { kind: volumeAttributesClasses, object: found, finalizer: CLASS_FINALIZER, used };
  },
  plan,
};
