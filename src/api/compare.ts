/** What comes after an object, compared with it. */
import { refuse } from "#api/errors.ts";
import { sameJson } from "#api/json.ts";
import { metadataOf } from "#api/meta.ts";
import type { Resource } from "#api/registry.ts";
import type { Update } from "#api/write.ts";
import { invalid } from "#resources/field.ts";
import type { ApiObject, Stored } from "#resources/meta.ts";

/** @throws ApiError 409 where the next object is of another one, or of an older one; 422. */
export function checkPreconditions(
  resource: Resource,
  update: Pick<Update, "name" | "needsRevision">,
  next: ApiObject,
  old: Stored,
): void {
  const { resourceVersion, uid } = metadataOf(next);
  if (uid && uid !== old.metadata.uid) {
    throw refuse.conflict(
      resource.kind,
      update.name,
      `Precondition failed: UID in precondition: ${uid}, UID in object meta: ${old.metadata.uid}`,
    );
  }
  if (resourceVersion && resourceVersion !== "0") {
    if (resourceVersion !== old.metadata.resourceVersion) {
      throw refuse.modified(resource.kind, update.name);
    }
  } else if (update.needsRevision === true) {
    throw refuse.invalid(resource.kind, update.name, [
      invalid("metadata.resourceVersion", 0, "must be specified for an update"),
    ]);
  }
}

/**
 * The revision apart. Who sets what is there already becomes no owner by it; a client that edits
 * the managers themselves does change something (kubectl does so where it goes over to server-side
 * apply).
 */
export function unchanged(object: ApiObject, old: Stored): boolean {
  const bare = (of: ApiObject): ApiObject => {
    const { resourceVersion: _, ...metadata } = metadataOf(of);
    return { ...of, metadata };
  };
  return sameJson(bare(object), bare(old));
}
