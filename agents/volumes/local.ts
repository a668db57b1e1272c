/**
 * The node's half of local volumes: tells the cluster its folder, makes the folders of the volumes
 * that it is to hold, and removes those of volumes that are deleted. Level-triggered by the API
 * alone.
 */
import type { LocalDisk } from "#agents/volumes/localdisk.ts";
import type { Clock } from "#base/clock.ts";
import { messageOf } from "#base/errors.ts";
import { keepLevel } from "#base/level.ts";
import type { Log } from "#base/log.ts";
import type { Caches } from "#client/cache.types.ts";
import { type Client, isNotFound } from "#client/client.ts";
import { nodes } from "#resources/kinds/node.ts";
import { persistentVolumes } from "#resources/kinds/persistentvolume.ts";
import {
  isLocalVolume,
  nodeLabel,
  SIZE,
  SIZE_HELD,
  STORAGE_PATH,
  VOLUME_FINALIZER,
  VOLUME_NODE,
} from "#resources/localvolume.ts";
import type { Stored } from "#resources/meta.ts";
import type { PersistentVolume } from "#resources/types.gen.ts";

export interface LocalVolumesOptions {
  client: Client;
  caches: Caches;
  clock: Clock;
  log: Log;
  disk: LocalDisk;
  nodeName: string;
  signal: AbortSignal;
}

type Volume = Stored<PersistentVolume>;

/** It is deleted, and nobody but us holds it back: no claim is bound to it any more. */
function isLeft({ metadata }: Volume): boolean {
  const finalizers = metadata.finalizers ?? [];
  return metadata.deletionTimestamp !== undefined && finalizers.join() === VOLUME_FINALIZER;
}

async function letGo(volume: Volume, { client, disk, log }: LocalVolumesOptions): Promise<void> {
  const { name, uid, resourceVersion } = volume.metadata;
  // Under Retain the data stay, also when the object is deleted.
  const removes = volume.spec?.persistentVolumeReclaimPolicy === "Delete";
  if (removes) await disk.remove(volume);
  log.info(removes ? "volume removed" : "volume let go, data kept", { volume: name });
  const metadata = { uid, resourceVersion, finalizers: null };
  await client.patch(persistentVolumes, { name }, "merge", { metadata });
}

async function hold(volume: Volume, { client, disk }: LocalVolumesOptions): Promise<void> {
  const { name, uid, annotations = {} } = volume.metadata;
  const size = volume.spec?.capacity?.["storage"] ?? "0";
  const { held } = await disk.ensure(volume);
  if (annotations[SIZE] === size && annotations[SIZE_HELD] === held) return;
  const told = { [SIZE]: size, [SIZE_HELD]: held };
  await client.patch(persistentVolumes, { name }, "merge", {
    metadata: { uid, annotations: told },
  });
}

async function bring(volume: Volume, options: LocalVolumesOptions): Promise<void> {
  if (!isLocalVolume(volume)) return;
  if (volume.metadata.deletionTimestamp === undefined) await hold(volume, options);
  else if (isLeft(volume)) await letGo(volume, options);
}

/** Runs until the signal aborts. Returns at once. */
export function keepLocalVolumes(options: LocalVolumesOptions): void {
  const { client, caches, disk, nodeName, signal, log, clock } = options;
  const labelSelector = `${VOLUME_NODE}=${nodeLabel(nodeName)}`;
  const volumes = caches.of(persistentVolumes, { labelSelector });
  const own = caches.of(nodes, { fieldSelector: `metadata.name=${nodeName}` });

  async function offer(): Promise<void> {
    const node = own.get(nodeName);
    if (node === undefined || node.metadata.annotations?.[STORAGE_PATH] === disk.root) return;
    const metadata = { annotations: { [STORAGE_PATH]: disk.root } };
    await client.patch(nodes, { name: nodeName }, "merge", { metadata });
  }

  /** Volumes by name, as they were brought about. */
  const done = new Map<string, Volume>();

  async function each(volume: Volume): Promise<void> {
    const { name } = volume.metadata;
    if (done.get(name) === volume) return;
    await bring(volume, options);
    done.set(name, volume);
  }

  async function work(): Promise<void> {
    await Promise.all([own.whenSynced(), volumes.whenSynced()]);
    const problems: string[] = [];
    for (const name of done.keys()) if (volumes.get(name) === undefined) done.delete(name);
    for (const step of [offer, ...volumes.list().map((one) => () => each(one))]) {
      try {
        await step();
      } catch (error) {
        // What is gone meanwhile needs nothing; the cache will tell.
        if (!isNotFound(error)) problems.push(messageOf(error));
      }
    }
    if (problems.length > 0) throw new Error(problems.join("; "));
  }

  const level = keepLevel({ clock, log, signal, work });
  const path = (node: Stored | undefined) => node?.metadata.annotations?.[STORAGE_PATH];
  const ends = [
    own.onChange(({ before, after }) => {
      if (before === undefined || path(before) !== path(after)) level.poke();
    }),
    volumes.onChange(() => level.poke()),
  ];
  signal.addEventListener("abort", () => {
    for (const end of ends) end();
  });
  level.poke();
}
