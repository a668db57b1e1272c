/**
 * The rules of metadata that hold for every kind: names, what a client may not choose, generations.
 */
import { type Core, timestamp } from "#api/core.ts";
import { sameJson } from "#api/json.ts";
import type { Resource } from "#api/registry.ts";
import { nameSuffix } from "#base/random.ts";
import { type Cause, forbidden, invalid, required } from "#resources/field.ts";
import type { ApiObject, Stored } from "#resources/meta.ts";
import { checkMetadata, checkName } from "#resources/names.ts";
import type { ObjectMeta } from "#resources/types.gen.ts";

/** Names longer than this are cut before the suffix (apiserver storage/names). */
const GENERATED_BASE_MAX = 58;

export function metadataOf(object: ApiObject): ObjectMeta {
  object.metadata ??= {};
  return object.metadata;
}

/** A name for an object that asked for one. */
export function generateName(core: Core, base: string): string {
  return base.slice(0, GENERATED_BASE_MAX) + nameSuffix(core.random);
}

/** What the server sets on everything new. */
export function stampNew(core: Core, resource: Resource, object: ApiObject): void {
  const metadata = metadataOf(object);
  metadata.uid = core.random.uuid();
  metadata.creationTimestamp = timestamp(core.clock.now());
  delete metadata.selfLink;
  delete metadata.deletionTimestamp;
  delete metadata.deletionGracePeriodSeconds;
  delete metadata.resourceVersion;
  if (resource.kind.generation) metadata.generation = 1;
  else delete metadata.generation;
}

/** What an update cannot change is what it was. */
export function keepIdentity(object: ApiObject, old: Stored): void {
  const metadata = metadataOf(object);
  const before = old.metadata;
  metadata.uid = before.uid;
  metadata.creationTimestamp = before.creationTimestamp;
  metadata.name = before.name;
  if (before.namespace !== undefined) metadata.namespace = before.namespace;
  else delete metadata.namespace;
  if (before.generation !== undefined) metadata.generation = before.generation;
  else delete metadata.generation;
  if (metadata.deletionTimestamp === undefined && before.deletionTimestamp !== undefined) {
    metadata.deletionTimestamp = before.deletionTimestamp;
  }
  if (
    metadata.deletionGracePeriodSeconds === undefined &&
    before.deletionGracePeriodSeconds !== undefined
  ) {
    metadata.deletionGracePeriodSeconds = before.deletionGracePeriodSeconds;
  }
  delete metadata.selfLink;
}

/** What a Deployment is annotated with goes to its sets, so that it counts as a change. */
function annotatedAnew(resource: Resource, object: ApiObject, old: Stored): boolean {
  if (resource.bucket !== "apps/deployments") return false;
  return !sameJson(object.metadata?.annotations ?? {}, old.metadata.annotations ?? {});
}

/** Counts a change of anything but metadata, and status where that is a subresource. */
export function countGeneration(resource: Resource, object: ApiObject, old: Stored): void {
  if (!resource.kind.generation) return;
  const bare = (of: ApiObject): object => {
    const { metadata: _m, kind: _k, apiVersion: _v, ...rest } = of;
    if (!resource.kind.subresources.status) return rest;
    const { status: _s, ...spec } = rest as { status?: unknown };
    return spec;
  };
  if (!sameJson(bare(object), bare(old)) || annotatedAnew(resource, object, old)) {
    metadataOf(object).generation = (old.metadata.generation ?? 0) + 1;
  }
}

function immutable(object: ApiObject, old: Stored): Cause[] {
  const causes: Cause[] = [];
  const { deletionTimestamp, deletionGracePeriodSeconds, finalizers = [] } = metadataOf(object);
  const before = old.metadata;
  if (deletionTimestamp !== before.deletionTimestamp) {
    causes.push(invalid("metadata.deletionTimestamp", deletionTimestamp, "field is immutable"));
  }
  if (deletionGracePeriodSeconds !== before.deletionGracePeriodSeconds) {
    causes.push(
      invalid(
        "metadata.deletionGracePeriodSeconds",
        deletionGracePeriodSeconds,
        "field is immutable",
      ),
    );
  }
  if (before.deletionTimestamp !== undefined) {
    const fresh = finalizers.filter((name) => !(before.finalizers ?? []).includes(name));
    if (fresh.length > 0) {
      causes.push(
        forbidden(
          "metadata.finalizers",
          `no new finalizers can be added if the object is being deleted, found new ` +
            `finalizers ${JSON.stringify(fresh)}`,
        ),
      );
    }
  }
  return causes;
}

/** Custom resources, and what defines and registers them, have servers of their own upstream. */
const OTHER_SERVERS = ["apiextensions.k8s.io", "apiregistration.k8s.io"];

const ruledByCore = ({ custom, kind }: Resource): boolean =>
  !custom && !OTHER_SERVERS.includes(kind.group);

const STANDARD_FINALIZERS = ["foregroundDeletion", "kubernetes", "orphan"];

/** Finalizers without a domain are Kubernetes' own. */
function unqualified({ finalizers = [] }: ObjectMeta): Cause[] {
  return finalizers.flatMap((name, index) =>
    name.includes("/") || STANDARD_FINALIZERS.includes(name)
      ? []
      : [
          invalid(
            `metadata.finalizers[${index}]`,
            name,
            "name is neither a standard finalizer name nor is it fully qualified",
          ),
        ],
  );
}

/** Causes to refuse the metadata. */
export function metadataCauses(
  resource: Resource,
  object: ApiObject,
  old: Stored | undefined,
): Cause[] {
  const metadata = metadataOf(object);
  const causes: Cause[] = [];
  if (!metadata.name) {
    causes.push(required("metadata.name", "name or generateName is required"));
  } else if (old === undefined) {
    causes.push(...checkName(metadata.name, resource.kind.nameRule, "metadata.name"));
  }
  causes.push(...checkMetadata(metadata, "metadata"));
  if (old === undefined && ruledByCore(resource)) causes.push(...unqualified(metadata));
  if (old !== undefined) causes.push(...immutable(object, old));
  return causes;
}

/** The last finalizer gone from an object that was to be deleted deletes it. */
export function isFinished(object: ApiObject): boolean {
  const { deletionTimestamp, deletionGracePeriodSeconds, finalizers } = metadataOf(object);
  if (deletionTimestamp === undefined || (deletionGracePeriodSeconds ?? 0) > 0) return false;
  if ((finalizers ?? []).length > 0) return false;
  const { spec } = object as { spec?: { finalizers?: unknown[] } };
  return object.kind !== "Namespace" || (spec?.finalizers ?? []).length === 0;
}
