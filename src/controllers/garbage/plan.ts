/**
 * What becomes of an object whose owners go, and of an owner that waits for its dependents
 * (kubernetes.io/docs/concepts/architecture/garbage-collection).
 */
import type { Action, Plan } from "#client/controller.ts";
import { deleteAction, refOf } from "#controllers/common/patch.ts";
import type { Kind } from "#resources/kind.ts";
import type { Stored } from "#resources/meta.ts";
import type { Json, OwnerReference } from "#resources/types.gen.ts";

export const FOREGROUND = "foregroundDeletion";
export const ORPHAN = "orphan";

/**
 * `present`: keeps the object. `absent`: the API says that it is not there. `waiting`: it is being
 * deleted and waits for this dependent. `unknown`: cannot be told (a kind that is not served, a
 * reference across namespaces): nothing is deleted for it.
 */
export type OwnerIs = "present" | "absent" | "waiting" | "unknown";

export interface Owner {
  ref: OwnerReference;
  is: OwnerIs;
}

export interface Dependent {
  kind: Kind;
  object: Stored;
}

export interface State {
  kind: Kind;
  object: Stored;
  owners: readonly Owner[];
  dependents: readonly Dependent[];
}

/** An owner of unknown state is looked at again after this. */
const UNKNOWN_AGAIN_MS = 60_000;

const has = (object: Stored, finalizer: string): boolean =>
  object.metadata.finalizers?.includes(finalizer) === true;

/** Changes metadata where the object is as it was read: for lists that others write too. */
function patchMeta(kind: Kind, object: Stored, fields: { [key: string]: Json }): Action {
  const { uid, resourceVersion } = object.metadata;
  const body = { metadata: { uid, resourceVersion, ...fields } };
  return { do: "patch", kind, ref: refOf(object), type: "merge", body };
}

function withoutFinalizer({ kind, object }: State, name: string): Action {
  const left = (object.metadata.finalizers ?? []).filter((one) => one !== name);
  return patchMeta(kind, object, { finalizers: left });
}

function withOwners(kind: Kind, object: Stored, owners: readonly OwnerReference[]): Action {
  return patchMeta(kind, object, { ownerReferences: owners.map((one) => ({ ...one })) });
}

/** An owner that is being deleted and has a mark of ours. */
function planOwner(state: State): Plan {
  const { object, dependents } = state;
  const { uid } = object.metadata;
  if (has(object, ORPHAN)) {
    const freed = dependents.map(({ kind, object: dependent }) => {
      const owners = dependent.metadata.ownerReferences ?? [];
      return withOwners(
        kind,
        dependent,
        owners.filter((owner) => owner.uid !== uid),
      );
    });
    return { actions: [...freed, withoutFinalizer(state, ORPHAN)] };
  }
  if (!has(object, FOREGROUND)) return { actions: [] };
  const blocking = dependents.some(({ object: dependent }) =>
    dependent.metadata.ownerReferences?.some(
      (owner) => owner.uid === uid && owner.blockOwnerDeletion === true,
    ),
  );
  // The dependents delete themselves: each sees that its owner waits.
  return { actions: blocking ? [] : [withoutFinalizer(state, FOREGROUND)] };
}

function policyOf(object: Stored): "Background" | "Foreground" | "Orphan" {
  if (has(object, ORPHAN)) return "Orphan";
  return has(object, FOREGROUND) ? "Foreground" : "Background";
}

export function plan(state: State): Plan {
  const { kind, object, owners, dependents } = state;
  if (object.metadata.deletionTimestamp !== undefined) return planOwner(state);
  const are = (is: OwnerIs): Owner[] => owners.filter((owner) => owner.is === is);
  const going = [...are("absent"), ...are("waiting")];
  if (going.length === 0) return { actions: [] };
  const staying = owners.filter((owner) => !going.includes(owner));
  if (are("present").length > 0) {
    const refs = staying.map(({ ref }) => ref);
    return { actions: [withOwners(kind, object, refs)] };
  }
  if (staying.length > 0) return { actions: [], againMs: UNKNOWN_AGAIN_MS };
  const actions: Action[] = [];
  const waiting = are("waiting").length > 0;
  const circle = dependents.some(
    ({ object: dependent }) =>
      dependent.metadata.deletionTimestamp !== undefined && has(dependent, FOREGROUND),
  );
  if (waiting && circle) {
    // Each would wait for the other for ever.
    const refs = owners.map(({ ref }) => ({ ...ref, blockOwnerDeletion: false }));
    return { actions: [withOwners(kind, object, refs)] };
  }
  const foreground = waiting && dependents.length > 0;
  const propagationPolicy = foreground ? "Foreground" : policyOf(object);
  actions.push(deleteAction(kind, object, { propagationPolicy }));
  return { actions };
}
