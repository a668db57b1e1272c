/** What a binding gives to its policy: objects of the kind that the policy names. */

import { storeKey } from "#api/codec.ts";
import type { Core } from "#api/core.ts";
import { itemsIn } from "#api/custom/convert.ts";
import { inVersion } from "#api/read.ts";
import type { Resource } from "#api/registry.ts";
import type { ApiObject } from "#resources/meta.ts";
import { matchLabelSelector } from "#resources/selector.ts";
import type { ParamKind, ParamRef } from "#resources/types.gen.ts";
import type { Item } from "#store/store.ts";

/** The resource of `group/version` and kind; undefined where there is none. */
export function paramResource(core: Core, paramKind: ParamKind): Resource | undefined {
  const { apiVersion = "", kind = "" } = paramKind;
  for (const resource of core.registry.all()) {
    if (resource.apiVersion === apiVersion && resource.kind.kind === kind) return resource;
  }
  return undefined;
}

function namespaceFor(
  resource: Resource,
  ref: ParamRef,
  requestNamespace: string | undefined,
): string | undefined {
  if (!resource.kind.namespaced) {
    if (ref.namespace) {
      throw new Error("paramRef.namespace must not be provided for a cluster-scoped `paramKind`");
    }
    return undefined;
  }
  const namespace = ref.namespace || requestNamespace;
  if (namespace === undefined) {
    throw new Error(
      "cannot use namespaced paramRef in policy binding that matches cluster-scoped resources",
    );
  }
  return namespace;
}

async function itemsFor(
  core: Core,
  resource: Resource,
  ref: ParamRef,
  namespace: string | undefined,
): Promise<readonly Item[]> {
  if (ref.name) {
    const item = await core.store.get(storeKey(resource.bucket, namespace, ref.name));
    return item === undefined ? [] : [item];
  }
  const { bucket } = resource;
  const prefix = namespace === undefined ? `${bucket}/` : `${bucket}/${namespace}/`;
  const matches = matchLabelSelector(ref.selector);
  const page = await core.store.list({ prefix, filter: ({ labels }) => matches(labels) });
  return page.items;
}

/**
 * Each set of parameters is judged for itself; `undefined` stands for none. @throws Error where
 * they cannot be had.
 */
export async function paramsOf(
  core: Core,
  paramKind: ParamKind | undefined,
  ref: ParamRef | undefined,
  requestNamespace: string | undefined,
): Promise<ReadonlyArray<ApiObject | undefined>> {
  if (paramKind === undefined || ref === undefined) return [undefined];
  const resource = paramResource(core, paramKind);
  if (resource === undefined) {
    const { apiVersion, kind } = paramKind;
    throw new Error(`paramKind kind \`${apiVersion}, Kind=${kind}\` not known`);
  }
  const namespace = namespaceFor(resource, ref, requestNamespace);
  const items = await itemsFor(core, resource, ref, namespace);
  if (items.length === 0 && ref.parameterNotFoundAction !== "Allow") {
    throw new Error("no params found for policy binding with `Deny` parameterNotFoundAction");
  }
  const seen = await itemsIn(resource, items);
  return seen.map((item) => inVersion(resource, item));
}
