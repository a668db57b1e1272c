/**
 * Templates of the past, as ControllerRevisions: what `kubectl rollout history` shows and `undo`
 * takes back (StatefulSets and DaemonSets).
 */
import type { Action, Failure } from "#client/controller.ts";
import { safeHash } from "#controllers/common/hash.ts";
import { type Claim, claim, controllerReference } from "#controllers/common/owner.ts";
import { deleteAction, patchAction, statusAction } from "#controllers/common/patch.ts";
import { sameValue } from "#resources/equal.ts";
import type { Kind } from "#resources/kind.ts";
import { controllerRevisions } from "#resources/kinds/controllerrevision.ts";
import type { ApiObject, Stored } from "#resources/meta.ts";
import { sortedKeys } from "#resources/sorted.ts";
import type {
  ControllerRevision,
  Json,
  LabelSelector,
  PodTemplateSpec,
} from "#resources/types.gen.ts";

export const REVISION_HASH = "controller-revision-hash";

export interface Owner extends ApiObject {
  spec?: {
    selector?: LabelSelector;
    template?: PodTemplateSpec;
    revisionHistoryLimit?: number;
  };
  status?: { collisionCount?: number };
}

/** A revision as it is, or as this plan creates it. */
export interface Revision {
  name: string;
  hash: string;
  template: PodTemplateSpec;
}

export interface Revisions {
  /** Of the template as it is now. */
  update: Revision;
  /** All that are there, the oldest first. */
  known: ReadonlyArray<Stored<ControllerRevision>>;
  actions: Action[];
}

interface Data {
  spec?: { template?: PodTemplateSpec & { $patch?: string } };
}

/** Upstream's clients compare the text of a revision's data: keys are in order. */
function dataOf(template: PodTemplateSpec): { [key: string]: Json } {
  const data = { spec: { template: { ...template, $patch: "replace" } } };
  return JSON.parse(JSON.stringify(sortedKeys(data)));
}

function templateOf(revision: ControllerRevision): PodTemplateSpec {
  const { $patch: _, ...template } = (revision.data as Data | undefined)?.spec?.template ?? {};
  return template;
}

export function revisionOf(found: Stored<ControllerRevision>): Revision {
  const hash = found.metadata.labels?.[REVISION_HASH] ?? "";
  return { name: found.metadata.name, hash, template: templateOf(found) };
}

const byNumber = (a: Stored<ControllerRevision>, b: Stored<ControllerRevision>): number =>
  a.revision - b.revision || (a.metadata.name < b.metadata.name ? -1 : 1);

/** The revisions that a plan looks at. */
export interface Histories {
  /** Those that the owner controls. */
  revisions: ReadonlyArray<Stored<ControllerRevision>>;
  /** Those of the namespace that nobody controls. */
  looseRevisions: ReadonlyArray<Stored<ControllerRevision>>;
  /** One by its name, whosever it is. */
  revisionNamed: (name: string) => Stored<ControllerRevision> | undefined;
}

/**
 * The owner's revisions, with those that an owner before it left behind: pods that it takes over
 * are of them, and stay as they are.
 */
export const claimRevisions = <T extends Owner>(
  kind: Kind<T>,
  owner: Stored<T>,
  { revisions, looseRevisions }: Histories,
): Claim<ControllerRevision> =>
  claim({
    ownerKind: kind,
    owner,
    selector: owner.spec?.selector,
    kind: controllerRevisions,
    owned: revisions,
    free: looseRevisions,
  });

/** Finds the template among the past ones, brings an old one to the front, or makes a new one. */
export function revisionsFor<T extends Owner>(
  kind: Kind<T>,
  owner: Stored<T>,
  owned: ReadonlyArray<Stored<ControllerRevision>>,
): Revisions {
  const known = [...owned].sort(byNumber);
  const template = owner.spec?.template ?? {};
  const next = (known.at(-1)?.revision ?? 0) + 1;
  const same = known.findLast((one) => sameValue(templateOf(one), template));
  if (same !== undefined) {
    const actions =
      same === known.at(-1) ? [] : patchAction(controllerRevisions, same, { revision: next });
    return { update: revisionOf(same), known, actions };
  }
  const hash = safeHash(template, owner.status?.collisionCount ?? 0);
  const name = `${owner.metadata.name.slice(0, 252 - hash.length)}-${hash}`;
  const object: ControllerRevision = {
    metadata: {
      name,
      namespace: owner.metadata.namespace ?? "",
      labels: { ...template.metadata?.labels, [REVISION_HASH]: hash },
      ownerReferences: [controllerReference(kind, owner)],
    },
    data: dataOf(template),
    revision: next,
  };
  const actions: Action[] = [{ do: "create", kind: controllerRevisions, object }];
  return { update: { name, hash, template }, known, actions };
}

/** Past revisions beyond the limit that no pod and no status uses, the oldest first. */
export function pruneRevisions<T extends Owner>(
  owner: Stored<T>,
  known: ReadonlyArray<Stored<ControllerRevision>>,
  isUsed: (revision: Revision) => boolean,
): Action[] {
  const limit = owner.spec?.revisionHistoryLimit ?? 10;
  const idle = known.filter((one) => !isUsed(revisionOf(one)));
  return idle
    .slice(0, Math.max(0, idle.length - limit))
    .map((one) => deleteAction(controllerRevisions, one));
}

/**
 * The name of a new revision is taken by another template: the next one is made from another hash.
 * One of the same template is an owner's before this one, and is soon to be had.
 */
export function collision<T extends Owner>(
  kind: Kind<T>,
  owner: Stored<T>,
  failure: Failure,
  { revisionNamed }: Histories,
): Action[] {
  const { action, reason } = failure;
  if (reason !== "AlreadyExists" || action.do !== "create") return [];
  if (action.kind !== controllerRevisions) return [];
  const taken = revisionNamed(action.object.metadata?.name ?? "");
  if (taken && sameValue(templateOf(taken), owner.spec?.template ?? {})) return [];
  const collisionCount = (owner.status?.collisionCount ?? 0) + 1;
  return statusAction<Owner>(kind, owner, { ...owner.status, collisionCount });
}
