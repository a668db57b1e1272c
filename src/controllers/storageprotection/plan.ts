/**
 * Keeps claims while a pod uses them, and volumes while they are bound (persistent-volumes,
 * "Storage Object in Use Protection").
 */
import type { Plan } from "#client/controller.ts";
import { patchAction } from "#controllers/common/patch.ts";
import type { Kind } from "#resources/kind.ts";
import type { Stored } from "#resources/meta.ts";

export interface State {
  kind: Kind;
  object: Stored;
  finalizer: string;
  /** A pod uses the claim, a claim the volume. */
  used: boolean;
}

export function plan({ kind, object, finalizer, used }: State): Plan {
  const { finalizers = [], deletionTimestamp } = object.metadata;
  const has = finalizers.includes(finalizer);
  const set = (next: string[]): Plan => {
    const metadata = { ...object.metadata, finalizers: next };
    return { actions: patchAction(kind, object, { metadata }, { guarded: true }) };
  };
  if (deletionTimestamp === undefined)
    return has ? { actions: [] } : set([...finalizers, finalizer]);
  if (!has || used) return { actions: [] };
  return set(finalizers.filter((name) => name !== finalizer));
}
