/**
 * The storage part of the caches, with what this scheduler has decided and the API does not show
 * yet.
 */
import type { Caches, Index } from "#client/cache.types.ts";
import type { Kind } from "#resources/kind.ts";
import { csiDrivers } from "#resources/kinds/csidriver.ts";
import { csiStorageCapacities } from "#resources/kinds/csistoragecapacity.ts";
import { persistentVolumes } from "#resources/kinds/persistentvolume.ts";
import { persistentVolumeClaims } from "#resources/kinds/persistentvolumeclaim.ts";
import { storageClasses } from "#resources/kinds/storageclass.ts";
import { keyOf, type Stored } from "#resources/meta.ts";
import type { PersistentVolume, PersistentVolumeClaim } from "#resources/types.gen.ts";
import { className } from "#resources/volumematch.ts";
import { SELECTED_NODE, type StorageView, type VolumeWork } from "#scheduler/storage.ts";

const byClass: Index<PersistentVolume> = { name: "class", values: (pv) => [className(pv)] };

/** What can change the answer about volumes besides claims. */
export const storageKinds: readonly Kind[] = [
  persistentVolumes as Kind,
  storageClasses as Kind,
  csiDrivers as Kind,
  csiStorageCapacities as Kind,
];

export class LiveStorage implements StorageView {
  readonly #caches: Caches;
  /** Volume to the key of the claim that gets it. */
  readonly #taken = new Map<string, string>();
  /** Claim to the node that its volume is made on. */
  readonly #selected = new Map<string, string>();

  constructor(caches: Caches) {
    this.#caches = caches;
  }

  claim(key: string): Stored<PersistentVolumeClaim> | undefined {
    const claim = this.#caches.of(persistentVolumeClaims).get(key);
    const node = this.#selected.get(key);
    if (claim === undefined || node === undefined) return claim;
    const { metadata } = claim;
    const annotations = { ...metadata.annotations, [SELECTED_NODE]: node };
    return { ...claim, metadata: { ...metadata, annotations } };
  }

  volume(name: string): Stored<PersistentVolume> | undefined {
    return this.#caches.of(persistentVolumes).get(name);
  }

  volumesOf(name: string): ReadonlyArray<Stored<PersistentVolume>> {
    return this.#caches.of(persistentVolumes).indexed(byClass, name);
  }

  storageClass(name: string) {
    return this.#caches.of(storageClasses).get(name);
  }

  capacities(provisioner: string) {
    const driver = this.#caches.of(csiDrivers).get(provisioner);
    if (driver?.spec?.storageCapacity !== true) return undefined;
    return this.#caches.of(csiStorageCapacities).list();
  }

  isTaken(volumeName: string, claimKey: string): boolean {
    const taker = this.#taken.get(volumeName);
    return taker !== undefined && taker !== claimKey;
  }

  /** Counts on a decision until `release`. */
  assume({ bind, provision }: VolumeWork, nodeName: string): void {
    for (const { volume, claim } of bind) this.#taken.set(volume.metadata.name, keyOf(claim));
    for (const claim of provision) this.#selected.set(keyOf(claim), nodeName);
  }

  /** The API shows the decision, or it failed. */
  release({ bind, provision }: VolumeWork): void {
    for (const { volume } of bind) this.#taken.delete(volume.metadata.name);
    for (const claim of provision) this.#selected.delete(keyOf(claim));
  }
}
