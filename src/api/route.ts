/** From a path below a group-version to the function that answers: by verb, never by kind. */
import { type Access, isMaster } from "#api/auth/authorize.ts";
import { requiredField } from "#api/auth/selected.ts";
import type { Call, Core, RequestEnv, UserInfo, Verb } from "#api/core.ts";
import { deleteCollection, deleteOne } from "#api/delete.ts";
import { refuse, statusOf } from "#api/errors.ts";
import { getOne, listMany } from "#api/read.ts";
import type { Resource } from "#api/registry.ts";
import { respondStatus, withWarnings } from "#api/respond.ts";
import { findSubresource } from "#api/subresources/all.ts";
import type { Target } from "#api/target.ts";
import { patchObject, postObject, putObject } from "#api/verbs.ts";
import { virtualFor } from "#api/virtual.ts";
import { flag, watchMany } from "#api/watch.ts";

export interface Incoming {
  readonly request: Request;
  readonly env: RequestEnv;
  readonly user: UserInfo;
  readonly target: Target;
  /** Without its question mark. */
  readonly query: string;
  readonly annotate?: Call["annotate"] & object;
}

const NO_QUERY = new URLSearchParams();

function verbOf(method: string, target: Target, query: URLSearchParams): Verb {
  const { name, subresource } = target;
  // The old prefix has no other verb than to watch.
  if (target.watch === true && method !== "GET" && method !== "HEAD") throw refuse.method();
  switch (method) {
    case "GET":
    case "HEAD": {
      const watch = target.watch === true || (query.size > 0 && flag(query.get("watch")));
      if (watch && subresource === undefined) return "watch";
      return name === undefined ? "list" : "get";
    }
    case "POST":
      return "create";
    case "PUT":
      return "update";
    case "PATCH":
      return "patch";
    case "DELETE":
      return name === undefined ? "deletecollection" : "delete";
    case "OPTIONS":
      // Only what stands behind a proxy has an answer to it.
      if (subresource === "proxy") return "get";
      throw refuse.method();
    default:
      throw refuse.method();
  }
}

/** The verb of a request that is handed on. */
export const verbFor = (method: string, target: Target, query: string): Verb =>
  verbOf(method, target, query === "" ? NO_QUERY : new URLSearchParams(query));

/**
 * A namespaced path for a cluster's resource, or one resource of a namespace without its namespace.
 */
function checkScope(resource: Resource, target: Target): void {
  const { namespaced } = resource.kind;
  if (!namespaced && target.namespace !== undefined) throw refuse.noPath();
  if (namespaced && target.name !== undefined && target.namespace === undefined) {
    throw refuse.noPath();
  }
}

function dispatch(core: Core, call: Call): Promise<Response> {
  const { verb, resource, target } = call;
  if (resource.kind.verbsLeftOut.includes(verb)) throw refuse.method();
  switch (verb) {
    case "get":
      return getOne(core, call);
    case "list":
      return listMany(core, call);
    case "watch":
      return watchMany(core, call);
    case "create":
      if (target.name !== undefined) throw refuse.method();
      return postObject(core, call);
    case "update":
      if (target.name === undefined) throw refuse.method();
      return putObject(core, call, "");
    case "patch":
      if (target.name === undefined) throw refuse.method();
      return patchObject(core, call, "");
    case "delete":
      return deleteOne(core, call);
    case "deletecollection":
      // One request never takes away what all namespaces have of a kind.
      if (resource.kind.namespaced && target.namespace === undefined) throw refuse.method();
      return deleteCollection(core, call);
  }
}

/**
 * What the authorizer judges: the path, and for a collection its selectors. A list or watch of one
 * name is about that name, and a namespace is in itself (apiserver endpoints/request).
 */
export function accessOf(
  user: UserInfo,
  verb: Verb,
  target: Target,
  query: URLSearchParams,
): Access {
  const { rest: _rest, watch: _watch, ...about } = target;
  const { group, plural, name } = target;
  if (group === "" && plural === "namespaces" && name !== undefined) {
    return { user, verb, ...about, namespace: name };
  }
  if (query.size === 0 || name !== undefined) return { user, verb, ...about };
  const fieldSelector = query.get("fieldSelector") ?? "";
  const labelSelector = query.get("labelSelector") ?? "";
  const selected = requiredField({ verb, fieldSelector }, "metadata.name");
  return {
    ...{ user, verb, ...about },
    ...(fieldSelector !== "" && { fieldSelector }),
    ...(labelSelector !== "" && { labelSelector }),
    ...(selected && { name: selected }),
  };
}

/**
 * Subresources stream under verbs of their own: `exec` by GET asks for `create` since v1.35, `get`
 * before.
 */
export async function serveResource(core: Core, incoming: Incoming): Promise<Response> {
  const { request, env, user, target, annotate } = incoming;
  const query = incoming.query === "" ? NO_QUERY : new URLSearchParams(incoming.query);
  const verb = verbOf(request.method, target, query);
  if (annotate !== undefined || !isMaster(user)) {
    await core.authorizer.require(accessOf(user, verb, target, query), annotate);
  }
  const resource = core.registry.find(target.group, target.version, target.plural);
  if (resource === undefined) throw refuse.noPath();
  checkScope(resource, target);
  const call: Call = {
    ...{ request, env, user, verb, target, resource, query, warnings: [] },
    ...(annotate && { annotate }),
  };
  if (resource.deprecation !== undefined) call.warnings.push(resource.deprecation);
  try {
    return await serveCall(core, call);
  } catch (error) {
    // Who is refused is warned all the same.
    if (call.warnings.length === 0) throw error;
    return withWarnings(call, respondStatus(statusOf(error, core.log)));
  }
}

async function serveCall(core: Core, call: Call): Promise<Response> {
  const { resource, target } = call;
  if (target.subresource !== undefined) {
    const subresource = findSubresource(resource, target.subresource);
    if (subresource === undefined) throw refuse.noPath();
    return subresource.serve(core, call);
  }
  const virtual = virtualFor(resource);
  return virtual === undefined ? dispatch(core, call) : virtual(core, call);
}
