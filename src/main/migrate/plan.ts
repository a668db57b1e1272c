/**
 * Whether a cluster may move, and what must be done for it. Revisions only grow: what a client saw
 * at one end is lower than all that the other end gives out.
 */
import type { Place } from "#store/etcd/place.ts";

export interface SeenFile {
  readonly objects: number;
  /** No revision above was ever given out. */
  readonly ceiling: number;
  /** Of the migration that made it; 0: none did. */
  readonly migration: number;
}

export interface SeenEtcd {
  readonly objects: number;
  /** etcd's own newest one. */
  readonly revision: number;
  readonly place: Pick<Place, "state" | "offset" | "other" | "since" | "migration"> | undefined;
}

export interface Seen {
  /** The datastore in the data directory; undefined: there is none. */
  readonly file: SeenFile | undefined;
  /** Where it moved to already, in words. */
  readonly fileMovedTo: string | undefined;
  readonly etcd: SeenEtcd;
  readonly force: boolean;
}

export interface Refusal {
  readonly refused: string;
  readonly hint?: string;
}

export interface ToEtcd {
  /** Added to etcd's revisions from now on. */
  readonly offset: number;
  /** What lies there goes first. */
  readonly clear: boolean;
}

const FORCE_FILE = "--force takes it all the same";

export function planToEtcd({ file, fileMovedTo, etcd, force }: Seen): Refusal | ToEtcd {
  const { place, objects, revision } = etcd;
  if (file === undefined) return { refused: "there is no datastore in the data directory" };
  const unfinished = place?.state === "filling";
  if (fileMovedTo !== undefined && !unfinished && !force) {
    return { refused: `this datastore moved to ${fileMovedTo}: it is older`, hint: FORCE_FILE };
  }
  const isOld = place?.state === "moved";
  if (isOld && !force) {
    const refused = `etcd still holds what moved to ${place.other} at ${place.since}`;
    return { refused, hint: "--force deletes it, or name another --etcd-prefix" };
  }
  if (objects > 0 && !unfinished && !isOld) {
    const refused = `etcd has a cluster already, with ${objects} objects`;
    return { refused, hint: "name another --etcd-prefix" };
  }
  // Also above what a cluster that was there before gave out.
  const highest = Math.max(file.ceiling, revision + (place?.offset ?? 0));
  return { offset: Math.max(0, highest - revision), clear: objects > 0 };
}

export interface ToSqlite {
  /** `finish`: the file is in its place, etcd does not say so yet. */
  readonly step: "copy" | "finish";
  /** An older file goes aside. */
  readonly setAside: boolean;
}

export function planToSqlite({ file, fileMovedTo, etcd, force }: Seen): Refusal | ToSqlite {
  const { place, objects, revision } = etcd;
  if (objects === 0) {
    return { refused: "etcd holds no cluster", hint: "see --datastore and --etcd-prefix" };
  }
  if (place?.state === "filling") {
    return { refused: `the migration from ${place.other} of ${place.since} did not finish` };
  }
  if (place?.state === "moved" && !force) {
    const refused = `this cluster moved from etcd to ${place.other} at ${place.since}`;
    return { refused, hint: "--force takes what is left in etcd, which is older" };
  }
  if (file !== undefined && place?.state === "leaving" && file.migration === place.migration) {
    return { step: "finish", setAside: false };
  }
  const isNewer =
    file !== undefined &&
    fileMovedTo === undefined &&
    file.ceiling > revision + (place?.offset ?? 0);
  if (isNewer && !force) {
    const refused = "the datastore in the data directory is newer than what is in etcd";
    return { refused, hint: "--force sets it aside" };
  }
  return { step: "copy", setAside: file !== undefined };
}
