/**
 * What each way of writing an object leaves as it was: the spec by a status update, the status by
 * others.
 */
import { isObject } from "#api/json.ts";
import type { Resource } from "#api/registry.ts";
import type { ApiObject, Stored } from "#resources/meta.ts";
import type { ObjectMeta } from "#resources/types.gen.ts";

type Fields = Record<string, unknown>;

const fieldsOf = (object: object): Fields => object as Fields;

/** Puts back every top-level field but the named ones. */
function restore(object: ApiObject, old: Stored, except: readonly string[]): void {
  const next = fieldsOf(object);
  const before = fieldsOf(old);
  for (const name of new Set([...Object.keys(next), ...Object.keys(before)])) {
    if (except.includes(name)) continue;
    if (before[name] === undefined) delete next[name];
    else next[name] = before[name];
  }
}

/** A write of the object itself cannot set what its status subresource sets. */
export function keepStatus(resource: Resource, object: ApiObject, old: Stored): void {
  if (!resource.kind.subresources.status) return;
  const next = fieldsOf(object);
  const before = fieldsOf(old)["status"];
  if (before === undefined) delete next["status"];
  else next["status"] = before;
}

/** Built-in kinds whose labels, too, stay what they are when the status is written. */
const STATUS_ALONE = new Set([
  "admissionregistration.k8s.io/validatingadmissionpolicies",
  "apiregistration.k8s.io/apiservices",
  "flowcontrol.apiserver.k8s.io/flowschemas",
  "flowcontrol.apiserver.k8s.io/prioritylevelconfigurations",
  "networking.k8s.io/servicecidrs",
  "resource.k8s.io/resourceclaims",
  "storage.k8s.io/volumeattachments",
]);

type Kept = Pick<Resource, "custom" | "bucket">;

function keptMetadata({ custom, bucket }: Kept, next: ObjectMeta, before: ObjectMeta): Fields {
  if (custom || STATUS_ALONE.has(bucket)) return { ...before };
  const { labels, annotations, finalizers } = next;
  const kept = { ...before, labels, annotations, finalizers };
  // A deployment's labels are its author's.
  return bucket === "apps/deployments" ? { ...kept, labels: before.labels } : kept;
}

/**
 * A write of the status sets nothing else but labels and annotations, and of some kinds not even
 * those.
 */
export function keepSpec(resource: Kept, object: ApiObject, old: Stored): void {
  restore(object, old, ["status", "metadata"]);
  const { metadata } = object;
  if (metadata === undefined) return;
  const kept = keptMetadata(resource, metadata, old.metadata);
  if (metadata.managedFields !== undefined) kept["managedFields"] = metadata.managedFields;
  object.metadata = dropUndefined(kept) as NonNullable<ApiObject["metadata"]>;
}

function dropUndefined(fields: object): Fields {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}

/** Replaces only the named spec fields. Labels and owners need the right to update the object. */
export function keepAllBut(object: ApiObject, old: Stored, parts: readonly string[]): void {
  const next = fieldsOf(object);
  const { metadata } = object;
  const wanted = isObject(next["spec"]) ? next["spec"] : {};
  const before = fieldsOf(old)["spec"];
  const spec: Fields = isObject(before) ? { ...before } : {};
  for (const part of parts) {
    if (wanted[part] === undefined) delete spec[part];
    else spec[part] = wanted[part];
  }
  restore(object, old, []);
  object.metadata = {
    ...old.metadata,
    ...(metadata?.managedFields && { managedFields: metadata.managedFields }),
  };
  next["spec"] = spec;
}

/** Top-level fields that a way of writing cannot set, so that nobody comes to own them by it. */
export function unsettable(resource: Resource, subresource: string): readonly string[] {
  // The server fills in who asks for a certificate: no part of that is anybody's.
  if (resource.bucket === "certificates.k8s.io/certificatesigningrequests" && subresource === "") {
    return ["spec", "status"];
  }
  if (subresource === "" && resource.kind.subresources.status) return ["status"];
  return subresource === "status" ? ["spec"] : [];
}
