/** Whose an object is: controller references, and taking and letting go of objects by selector. */
import type { Index } from "#client/cache.types.ts";
import type { Action } from "#client/controller.ts";
import { refOf } from "#controllers/common/patch.ts";
import { apiVersionOf, type Kind } from "#resources/kind.ts";
import { type ApiObject, controllerOf, type Stored } from "#resources/meta.ts";
import { matchLabelSelector } from "#resources/selector.ts";
import type { LabelSelector, OwnerReference } from "#resources/types.gen.ts";

export function controllerReference(kind: Kind, owner: Stored): OwnerReference {
  return {
    apiVersion: apiVersionOf(kind),
    kind: kind.kind,
    name: owner.metadata.name,
    uid: owner.metadata.uid,
    controller: true,
    blockOwnerDeletion: true,
  };
}

/** Objects by the uid of their controller. */
export const byController: Index<ApiObject> = {
  name: "controller",
  values: (object) => {
    const uid = controllerOf(object)?.uid;
    return uid === undefined ? [] : [uid];
  },
};

/** Objects without a controller, by namespace. */
export const orphans: Index<ApiObject> = {
  name: "orphans",
  values: (object) => (controllerOf(object) === undefined ? [object.metadata.namespace ?? ""] : []),
};

/** Key of the controller of an object, when it is of this kind. */
export function controllerKey(object: Stored, kind: Kind): string[] {
  const owner = controllerOf(object);
  if (owner === undefined || owner.kind !== kind.kind) return [];
  if (!owner.apiVersion.startsWith(kind.group === "" ? kind.version : `${kind.group}/`)) return [];
  return [`${object.metadata.namespace}/${owner.name}`];
}

export interface Claim<T extends ApiObject> {
  /** Those that stay or become the owner's. */
  mine: Array<Stored<T>>;
  /** Adoptions and releases to write. */
  actions: Action[];
}

export interface ClaimOptions<T extends ApiObject> {
  ownerKind: Kind;
  owner: Stored;
  selector: LabelSelector | undefined;
  kind: Kind<T>;
  /** What the owner controls now. */
  owned: ReadonlyArray<Stored<T>>;
  /** What nobody controls, in the owner's namespace. */
  free: ReadonlyArray<Stored<T>>;
  /** Comes and goes with the ownership: who is let go must not wait for an owner that it lost. */
  finalizer?: string;
}

/**
 * Lets go of owned objects that the selector does not match and takes free ones that it does; never
 * touches what is being deleted, nor takes anything once the owner is (controller_ref_manager
 * upstream).
 */
export function claim<T extends ApiObject>(options: ClaimOptions<T>): Claim<T> {
  const { owner, ownerKind, kind } = options;
  const matches = matchLabelSelector(options.selector);
  const leaving = owner.metadata.deletionTimestamp !== undefined;
  const mine: Array<Stored<T>> = [];
  const actions: Action[] = [];
  const { finalizer } = options;
  const taken = finalizer === undefined ? {} : { finalizers: [finalizer] };
  const left =
    finalizer === undefined ? {} : { "$deleteFromPrimitiveList/finalizers": [finalizer] };
  const patch = (object: Stored<T>, reference: object, more: Record<string, string[]>): void => {
    actions.push({
      do: "patch",
      kind,
      ref: refOf(object),
      type: "strategic",
      body: {
        metadata: { uid: object.metadata.uid, ownerReferences: [{ ...reference }], ...more },
      },
    });
  };
  for (const object of options.owned) {
    if (matches(object.metadata.labels ?? {})) mine.push(object);
    else if (!leaving) patch(object, { $patch: "delete", uid: owner.metadata.uid }, left);
  }
  if (leaving) return { mine, actions };
  for (const object of options.free) {
    if (object.metadata.deletionTimestamp !== undefined) continue;
    if (!matches(object.metadata.labels ?? {})) continue;
    patch(object, controllerReference(ownerKind, owner), taken);
    mine.push(object);
  }
  return { mine, actions };
}
