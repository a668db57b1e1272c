/** Writes of the server itself: what must be there, and what must be so. */
import { storeKey } from "#api/codec.ts";
import type { Call, Core } from "#api/core.ts";
import { ApiError } from "#api/errors.ts";
import type { Resource } from "#api/registry.ts";
import { createObject, updateObject } from "#api/write.ts";
import { must } from "#base/assert.ts";
import type { Cancel } from "#base/clock.ts";
import { insist } from "#base/insist.ts";
import { limits } from "#base/limits.ts";
import type { ApiObject, Stored } from "#resources/meta.ts";
import { StorageError } from "#store/store.ts";

const SYSTEM = { name: "system:apiserver", groups: ["system:masters"] };
/** A call that nobody sent. */
export function internalCall(
  resource: Resource,
  target: { namespace?: string; name?: string },
): Call {
  const { group, version, plural } = resource.kind;
  return {
    request: new Request("http://bramble.internal/", { headers: { "user-agent": "bramble" } }),
    env: { user: SYSTEM },
    user: SYSTEM,
    verb: "create",
    target: { group, version, plural, ...target },
    resource,
    query: new URLSearchParams(),
    warnings: [],
  };
}

function resourceFor(core: Core, object: ApiObject): Resource {
  const { apiVersion = "", kind = "" } = object;
  const slash = apiVersion.indexOf("/");
  const group = slash < 0 ? "" : apiVersion.slice(0, slash);
  return must(core.registry.byKind(group, kind), `kind ${kind}`);
}

/** Creates an object unless it is there. */
export async function ensure(core: Core, object: ApiObject): Promise<void> {
  const resource = resourceFor(core, object);
  const { name = "", namespace } = object.metadata ?? {};
  const key = storeKey(resource.bucket, namespace, name);
  if ((await core.store.get(key)) !== undefined) return;
  const call = internalCall(resource, namespace === undefined ? {} : { namespace });
  try {
    await createObject(core, call, object);
  } catch (error) {
    // Somebody else made it in the meantime, and has what this one asked for: it is there.
    if ((await core.store.get(key)) === undefined) throw error;
  }
}

/** What of an object should be otherwise; undefined: it stays as it is. */
export type Decide = (live: Stored) => ApiObject | undefined;

/**
 * Changes the object of this kind and name; answers whether it is there. An unchanged one writes
 * nothing. Where another server of the same datastore changes it meanwhile, it is read and decided
 * on again.
 *
 * @throws ApiError 409 where others came in between every time.
 */
export async function amend(core: Core, named: ApiObject, decide: Decide): Promise<boolean> {
  const resource = resourceFor(core, named);
  const { name = "", namespace } = named.metadata ?? {};
  const call = internalCall(resource, namespace === undefined ? { name } : { namespace, name });
  try {
    await updateObject(core, call, {
      name,
      subresource: "",
      next: (read) => {
        const live = read();
        const wanted = decide(live);
        if (wanted === undefined) return live;
        return { ...live, ...wanted, metadata: { ...live.metadata, ...wanted.metadata } };
      },
      keep: () => {},
      trusted: true,
    });
    return true;
  } catch (error) {
    if (!(error instanceof ApiError) || error.status.reason !== "NotFound") throw error;
    return false;
  }
}

/** Creates an object, or brings it to what it should be. As `amend`. */
export async function settle(
  core: Core,
  object: ApiObject,
  decide: Decide = () => object,
): Promise<void> {
  if (!(await amend(core, object, decide))) await ensure(core, object);
}

/** A server whose disk is full serves what is there, and makes what is missing once there is room. */
export function insistOnWrites(
  { clock, log }: Core,
  what: string,
  step: () => Promise<void>,
): Promise<Cancel> {
  const passes = (error: unknown): boolean => error instanceof StorageError;
  return insist({ step, passes, what, retryMs: limits.refusedWriteRetryMs, clock, log });
}
