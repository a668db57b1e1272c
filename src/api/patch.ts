/** The four kinds of patch, each as a function from the live object to the next one. */
import { fieldValidationOf, parseBody, parseYaml } from "#api/body.ts";
import { type Call, type Core, timestamp } from "#api/core.ts";
import { adopt, UndecodableError } from "#api/decode.ts";
import { ApiError, refuse } from "#api/errors.ts";
import { isObject } from "#api/json.ts";
import { unsettable } from "#api/keep.ts";
import { checkedManager } from "#api/manager.ts";
import { metadataOf } from "#api/meta.ts";
import { flag } from "#api/watch.ts";
import { forbidden, invalid, required } from "#resources/field.ts";
import { applyServerSide, type Conflict, conflictMessage } from "#resources/managed.ts";
import type { ApiObject, Stored } from "#resources/meta.ts";
import {
  applyJsonPatch,
  applyMergePatch,
  applyStrategicPatch,
  PatchError,
} from "#resources/patch.ts";
import { checkShape } from "#resources/shape.ts";
import type { Json } from "#resources/types.gen.ts";

const TYPES = {
  json: "application/json-patch+json",
  merge: "application/merge-patch+json",
  strategic: "application/strategic-merge-patch+json",
  apply: "application/apply-patch+yaml",
} as const;

const OPTIONS = { group: "meta.k8s.io", plural: "patchoptions", kind: "PatchOptions" };

/** What a patch makes that is no object is about no kind any more. */
const NO_KIND = { group: "", plural: "", kind: "" };

export interface Patch {
  change(live: Stored): ApiObject;
  /** Server-side apply may create, and keeps the managers itself. */
  readonly managed: boolean;
  readonly create?: () => ApiObject;
}

export interface PatchRequest {
  readonly type: string;
  readonly text: string;
  readonly subresource: string;
}

/** Runs a patch of the machinery; its refusals become ours. */
function tryPatch<T>(call: Call, run: () => T): T {
  try {
    return run();
  } catch (error) {
    if (!(error instanceof PatchError)) throw error;
    if (error.code === 413) throw refuse.tooLarge(error.message);
    if (error.code !== 422) throw refuse.badRequest(error.message);
    throw new ApiError(422, "Invalid", error.message, {
      ...(call.target.name && { name: call.target.name }),
      ...(call.resource.kind.group && { group: call.resource.kind.group }),
      kind: call.resource.kind.plural,
    });
  }
}

/** Null members that a patch leaves behind are no fields. */
function plain(call: Call, run: (live: Json) => Json): Patch {
  return {
    managed: false,
    change: (live) => {
      const patched = tryPatch(call, () => run(live as unknown as Json));
      try {
        return adopt(call, call.resource, patched);
      } catch (error) {
        if (!(error instanceof UndecodableError)) throw error;
        const cause = invalid("patch", JSON.stringify(patched), error.why);
        throw refuse.invalid(NO_KIND, "", [cause]);
      }
    },
  };
}

/** @throws ApiError 415 for an unknown type, and for a strategic patch of a custom resource. */
export function makePatch(core: Core, call: Call, request: PatchRequest): Patch {
  const { type, text } = request;
  const { schema, custom } = call.resource;
  if (type !== TYPES.apply && call.query.has("force")) {
    throw refuse.invalid(OPTIONS, "", [
      forbidden("force", "may not be specified for non-apply patch"),
    ]);
  }
  // Parsed anew for each try: what a try made belongs to it, and it may have been changed.
  const body = (): Json => parseBody(text, "application/json");
  switch (type) {
    case TYPES.json:
      return plain(call, (live) => applyJsonPatch(live, body()));
    case TYPES.merge:
      return plain(call, (live) => applyMergePatch(live, body()));
    case TYPES.strategic:
      if (custom) break;
      return plain(call, (live) => applyStrategicPatch(live, body(), schema));
    case TYPES.apply:
    case "application/apply-patch+json":
      return applyPatch(core, call, request);
    default:
  }
  throw refuse.patchType();
}

/** An applier owns what it sends: nothing of it may be dropped, whatever the request says. */
function requireDeclared({ resource }: Call, raw: object): void {
  const { unknownFields } = checkShape(raw, resource.schema);
  if (unknownFields.length === 0) return;
  const { metadata } = raw as ApiObject;
  const { group, version, kind } = resource.kind;
  const name = `${metadata?.namespace ?? ""}/${metadata?.name ?? ""}`;
  const about = `${name}; ${group}/${version}, Kind=${kind}`;
  const lines = unknownFields.map((path) => `.${path}: field not declared in schema`);
  const list =
    lines.length === 1 ? lines[0] : ["errors:", ...lines.map((l) => `  ${l}`)].join("\n");
  throw new ApiError(500, "", `failed to create typed patch object (${about}): ${list}`);
}

function reportDoubled(call: Call, doubled: () => string[]): void {
  const how = fieldValidationOf(call);
  const keys = how === "Ignore" ? [] : doubled();
  if (keys.length === 0) return;
  const all = ["error converting YAML to JSON: yaml: unmarshal errors:", ...keys].join("\n");
  if (how === "Strict") throw refuse.badRequest(`error strict decoding YAML: ${all}`);
  call.warnings.push(...keys.map((key) => key.trim()));
}

function applied(call: Call, text: string): ApiObject {
  const { value: raw, doubled } = parseYaml(text);
  if (!isObject(raw)) throw refuse.badRequest("error decoding YAML: not an object");
  if (!raw["apiVersion"] || !raw["kind"]) {
    throw refuse.badRequest(
      "Object 'Kind' and 'apiVersion' are required in an apply configuration",
    );
  }
  requireDeclared(call, raw);
  const object = adopt(call, call.resource, raw);
  reportDoubled(call, doubled);
  if ((metadataOf(object).managedFields ?? []).length > 0) {
    throw refuse.badRequest("metadata.managedFields must be nil");
  }
  delete metadataOf(object).managedFields;
  return object;
}

/** https://kubernetes.io/docs/reference/using-api/server-side-apply/ */
function applyPatch(core: Core, call: Call, request: PatchRequest): Patch {
  const manager = call.query.get("fieldManager") ?? "";
  if (manager === "") {
    throw refuse.invalid(OPTIONS, "", [required("fieldManager", "is required for apply patch")]);
  }
  checkedManager(call, manager);
  const force = flag(call.query.get("force"));
  const { resource } = call;
  const apply = (live: ApiObject | undefined) =>
    applyServerSide({
      ...(live !== undefined && { live }),
      applied: applied(call, request.text),
      manager,
      force,
      schema: resource.schema,
      time: timestamp(core.clock.now()),
      apiVersion: resource.apiVersion,
      ...(request.subresource !== "" && { subresource: request.subresource }),
      ignore: unsettable(resource, request.subresource),
    });
  const merge = (live: ApiObject | undefined): ApiObject => {
    const { object, conflicts } = tryPatch(call, () => apply(live));
    if (conflicts.length > 0) throw applyConflict(conflicts);
    return object;
  };
  const made = (object: ApiObject): ApiObject => {
    const { uid } = metadataOf(object);
    if (!uid) return object;
    throw refuse.conflict(
      resource.kind,
      call.target.name ?? "",
      `uid mismatch: the provided object specified uid ${uid}, and no existing object was found`,
    );
  };
  return { managed: true, change: (live) => merge(live), create: () => made(merge(undefined)) };
}

function applyConflict(conflicts: readonly Conflict[]): ApiError {
  return new ApiError(409, "Conflict", conflictMessage(conflicts), {
    causes: conflicts.map(({ manager, field }) => ({
      reason: "FieldManagerConflict",
      message: `conflict with ${manager}`,
      field,
    })),
  });
}
