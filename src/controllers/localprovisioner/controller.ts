import type { Caches, Index } from "#client/cache.types.ts";
import { type Controller, trigger } from "#client/controller.ts";
import { SELECTED_NODE } from "#controllers/common/volumes.ts";
import {
  plan,
  planVolume,
  type State,
  type VolumeState,
  volumeName,
} from "#controllers/localprovisioner/plan.ts";
import { nodes } from "#resources/kinds/node.ts";
import { persistentVolumes } from "#resources/kinds/persistentvolume.ts";
import { persistentVolumeClaims } from "#resources/kinds/persistentvolumeclaim.ts";
import { storageClasses } from "#resources/kinds/storageclass.ts";
import {
  isLocalVolume,
  LOCAL_PROVISIONER,
  nodeLabel,
  STORAGE_PATH,
  VOLUME_NODE,
} from "#resources/localvolume.ts";
import { keyOf, type Stored } from "#resources/meta.ts";
import type { Node, PersistentVolume, PersistentVolumeClaim } from "#resources/types.gen.ts";
import { className } from "#resources/volumematch.ts";

/** Claims that have no volume yet, by class. */
const openByClass: Index<PersistentVolumeClaim> = {
  name: "open",
  values: (claim) => (claim.spec?.volumeName ? [] : [className(claim)]),
};
const byNode: Index<PersistentVolume> = {
  name: "node",
  values: (volume) => (isLocalVolume(volume) ? [volume.metadata.labels?.[VOLUME_NODE] ?? ""] : []),
};

function openClaims(caches: Caches): Array<Stored<PersistentVolumeClaim>> {
  const ours = caches
    .of(storageClasses)
    .list()
    .filter((one) => one.provisioner === LOCAL_PROVISIONER);
  const claims = caches.of(persistentVolumeClaims);
  return ours.flatMap(({ metadata }) => [...claims.indexed(openByClass, metadata.name)]);
}

/** For a class that does not wait for a pod: the ready node with the fewest volumes. */
function anyNode(caches: Caches): Stored<Node> | undefined {
  const count = ({ metadata }: Stored<Node>) =>
    caches.of(persistentVolumes).indexed(byNode, nodeLabel(metadata.name)).length;
  const fit = caches
    .of(nodes)
    .list()
    .filter(({ metadata, spec, status }) => {
      const ready = status?.conditions?.some(
        (one) => one.type === "Ready" && one.status === "True",
      );
      return ready && !spec?.unschedulable && metadata.annotations?.[STORAGE_PATH] !== undefined;
    });
  return fit.sort((a, b) => count(a) - count(b))[0];
}

const offersChanged = (before: Stored | undefined, after: Stored | undefined): boolean =>
  before === undefined ||
  after === undefined ||
  before.metadata.annotations?.[STORAGE_PATH] !== after.metadata.annotations?.[STORAGE_PATH];

export const localProvisionerController: Controller<State> = {
  name: "local-provisioner",
  kind: persistentVolumeClaims,
  triggers: [
    trigger(storageClasses, (_, caches) => openClaims(caches).map(keyOf)),
    trigger(nodes, (_, caches) => openClaims(caches).map(keyOf), {
      changed: ({ before, after }) => offersChanged(before, after),
    }),
  ],
  read(key, { caches }) {
    const claim = caches.of(persistentVolumeClaims).get(key);
    if (claim === undefined || claim.spec?.volumeName) return undefined;
    const storageClass = caches.of(storageClasses).get(className(claim));
    if (storageClass?.provisioner !== LOCAL_PROVISIONER) return undefined;
    const selected = claim.metadata.annotations?.[SELECTED_NODE];
    const node = selected === undefined ? anyNode(caches) : caches.of(nodes).get(selected);
    const isMade = caches.of(persistentVolumes).get(volumeName(claim)) !== undefined;
    return { claim, storageClass, node, isMade };
  },
  plan,
};

export const localReleaseController: Controller<VolumeState> = {
  name: "local-release",
  kind: persistentVolumes,
  triggers: [
    trigger(
      nodes,
      ({ metadata }, caches) =>
        caches.of(persistentVolumes).indexed(byNode, nodeLabel(metadata.name)).map(keyOf),
      { changed: ({ after }) => after === undefined },
    ),
  ],
  read(name, { caches }) {
    const volume = caches.of(persistentVolumes).get(name);
    if (volume === undefined || !isLocalVolume(volume)) return undefined;
    const label = volume.metadata.labels?.[VOLUME_NODE] ?? "";
    const all = caches.of(nodes);
    const known =
      all.get(label) ?? all.list().find((one) => nodeLabel(one.metadata.name) === label);
    return { volume, hasNode: known !== undefined };
  },
  /** That a node is gone for good is asked for, not guessed from a cache. */
  async confirm(state, client) {
    if (state.hasNode || state.volume.metadata.deletionTimestamp === undefined) return state;
    const { items } = await client.list(nodes);
    const label = state.volume.metadata.labels?.[VOLUME_NODE];
    return { ...state, hasNode: items.some((one) => nodeLabel(one.metadata.name) === label) };
  },
  plan: planVolume,
};
