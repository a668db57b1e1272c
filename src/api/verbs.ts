/** Create, update and patch of an object itself and of its status. */
import { mediaTypeOf, readText } from "#api/body.ts";
import type { Call, Core } from "#api/core.ts";
import { readAdopted } from "#api/decode.ts";
import { refuse } from "#api/errors.ts";
import { cloneJson } from "#api/json.ts";
import { keepSpec, keepStatus } from "#api/keep.ts";
import { metadataOf } from "#api/meta.ts";
import { negotiate } from "#api/negotiate.ts";
import { makePatch } from "#api/patch.ts";
import { answerItem } from "#api/read.ts";
import type { Resource } from "#api/registry.ts";
import { createObject, isDryRun, type Update, updateObject, type Written } from "#api/write.ts";
import type { ApiObject } from "#resources/meta.ts";

/** An object in a body belongs where the path says. */
export function place(call: Call, object: ApiObject, name: string | undefined): void {
  const metadata = metadataOf(object);
  const { namespace } = call.target;
  if (call.resource.kind.namespaced) {
    if (metadata.namespace && metadata.namespace !== namespace) {
      throw refuse.badRequest(
        "the namespace of the provided object does not match the namespace sent on the request",
      );
    }
    if (namespace !== undefined) metadata.namespace = namespace;
  } else if (metadata.namespace) {
    throw refuse.badRequest("namespace is not allowed for a cluster-scoped object");
  } else delete metadata.namespace;
  if (name === undefined) return;
  if (metadata.name && metadata.name !== name) {
    throw refuse.badRequest(
      `the name of the object (${metadata.name}) does not match the name on the URL (${name})`,
    );
  }
  metadata.name = name;
}

export async function answerWritten(core: Core, call: Call, written: Written): Promise<Response> {
  const form = negotiate(call.request.headers.get("accept"));
  return answerItem(core, call, form, written.item, written.change === "created" ? 201 : 200);
}

export async function postObject(core: Core, call: Call): Promise<Response> {
  negotiate(call.request.headers.get("accept"));
  if (call.resource.kind.namespaced && call.target.namespace === undefined) throw refuse.method();
  const object = await readAdopted(call);
  place(call, object, undefined);
  const metadata = metadataOf(object);
  if (metadata.resourceVersion) {
    throw refuse.badRequest("resourceVersion should not be set on objects to be created");
  }
  return answerWritten(core, call, await createObject(core, call, object));
}

/** Kinds that PUT creates where there is nothing yet, as upstream's strategies have it. */
const CREATED_BY_PUT = new Set([
  "core/endpoints",
  "core/events",
  "core/limitranges",
  "core/services",
  "coordination.k8s.io/leases",
  "node.k8s.io/runtimeclasses",
  "rbac.authorization.k8s.io/clusterrolebindings",
  "rbac.authorization.k8s.io/clusterroles",
  "rbac.authorization.k8s.io/rolebindings",
  "rbac.authorization.k8s.io/roles",
]);

/** Kinds that PUT replaces only at a named revision. */
const NEEDS_REVISION = new Set([
  "admissionregistration.k8s.io/mutatingwebhookconfigurations",
  "admissionregistration.k8s.io/validatingadmissionpolicies",
  "admissionregistration.k8s.io/validatingadmissionpolicybindings",
  "admissionregistration.k8s.io/validatingwebhookconfigurations",
  "apiextensions.k8s.io/customresourcedefinitions",
  "apiregistration.k8s.io/apiservices",
  "coordination.k8s.io/leases",
  "node.k8s.io/runtimeclasses",
  "policy/poddisruptionbudgets",
  "storage.k8s.io/csidrivers",
  "storage.k8s.io/csinodes",
  "storage.k8s.io/csistoragecapacities",
  "storage.k8s.io/volumeattachments",
]);

const needsRevision = (resource: Resource): boolean =>
  resource.custom || NEEDS_REVISION.has(resource.bucket);

/** Keeps what a subresource (or the object itself) may not change. */
export function keeper(resource: Resource, subresource: string): Update["keep"] {
  if (subresource === "status") return (object, old) => keepSpec(resource.stored, object, old);
  return (object, old) => keepStatus(resource.stored, object, old);
}

export async function putObject(core: Core, call: Call, subresource: string): Promise<Response> {
  const { resource } = call;
  const name = call.target.name ?? "";
  const object = await readAdopted(call);
  place(call, object, name);
  const creates = subresource === "" && CREATED_BY_PUT.has(resource.bucket);
  const written = await updateObject(core, call, {
    name,
    subresource,
    next: () => cloneJson(object),
    keep: keeper(resource, subresource),
    needsRevision: needsRevision(resource),
    missing: () => (creates && !metadataOf(object).uid ? fresh(object) : undefined),
  });
  return answerWritten(core, call, written);
}

function fresh(object: ApiObject): ApiObject {
  const copy = cloneJson(object);
  delete metadataOf(copy).resourceVersion;
  return copy;
}

export function patchObject(core: Core, call: Call, subresource: string): Promise<Response> {
  return patchPart(core, call, subresource, keeper(call.resource, subresource));
}

/** Patches what `keep` lets a client change. */
export async function patchPart(
  core: Core,
  call: Call,
  subresource: string,
  keep: Update["keep"],
): Promise<Response> {
  const name = call.target.name ?? "";
  const type = mediaTypeOf(call.request);
  const text = await readText(call.request);
  isDryRun(call);
  const patch = makePatch(core, call, { type, text, subresource });
  const written = await updateObject(core, call, {
    name,
    subresource,
    next: (read) => {
      const next = patch.change(read());
      place(call, next, name);
      return next;
    },
    keep,
    managed: patch.managed,
    missing: () => {
      const made = subresource === "" ? patch.create?.() : undefined;
      if (made !== undefined) place(call, made, name);
      return made;
    },
  });
  return answerWritten(core, call, written);
}
