/**
 * From a request's body to an object of the resource's version; nothing inside looks at raw input.
 */
import { duplicatesOf, type FieldValidation, fieldValidationOf, readBody } from "#api/body.ts";
import type { Call } from "#api/core.ts";
import { ApiError, refuse } from "#api/errors.ts";
import { isObject } from "#api/json.ts";
import type { Resource } from "#api/registry.ts";
import type { ApiObject } from "#resources/meta.ts";
import { checkShape, pruneUnknown } from "#resources/shape.ts";

const MAX_WARNINGS = 10;

/** The body says nothing of this kind: 400, but 422 where a patch made it so. */
export class UndecodableError extends ApiError {
  override name = "UndecodableError";
  readonly why: string;
  constructor(resource: Resource, why: string) {
    const { kind, version } = resource.kind;
    const message = `${kind} in version "${version}" cannot be handled as a ${kind}: ${why}`;
    super(400, "BadRequest", message);
    this.why = why;
  }
}

const cannotHandle = (resource: Resource, why: string): ApiError =>
  new UndecodableError(resource, why);

/** Kind and version may be left out; where they are given they must be those of the path. */
function checkType(resource: Resource, object: Record<string, unknown>): void {
  const { apiVersion, kind } = object;
  if (apiVersion !== undefined && apiVersion !== "" && apiVersion !== resource.apiVersion) {
    throw new UndecodableError(
      resource,
      `the API version in the data (${String(apiVersion)}) does not match the expected ` +
        `API version ` +
        `(${resource.apiVersion})`,
    );
  }
  if (kind !== undefined && kind !== "" && kind !== resource.kind.kind) {
    throw new UndecodableError(
      resource,
      `the kind in the data (${String(kind)}) does not match the expected kind ` +
        `(${resource.kind.kind})`,
    );
  }
}

/** Fields that nobody asked for: refused, told, or ignored. */
export function reportStray(
  call: Call,
  resource: Resource,
  how: FieldValidation,
  stray: { unknown: readonly string[]; duplicate: readonly string[] },
): void {
  if (how === "Ignore") return;
  const lines = [
    ...stray.unknown.map((path) => `unknown field ${JSON.stringify(path)}`),
    ...stray.duplicate.map((path) => `duplicate field ${JSON.stringify(path)}`),
  ];
  if (lines.length === 0) return;
  if (how === "Strict") throw cannotHandle(resource, `strict decoding error: ${lines.join(", ")}`);
  call.warnings.push(...lines.slice(0, MAX_WARNINGS));
}

/**
 * Checks the shape of a parsed body and takes it over: types, unknown fields. The object is the
 * caller's own from here on.
 */
export function adopt(
  call: Call,
  resource: Resource,
  raw: unknown,
  duplicates: readonly string[] = [],
): ApiObject {
  if (!isObject(raw)) throw cannotHandle(resource, "json: cannot unmarshal into an object");
  checkType(resource, raw);
  raw["apiVersion"] = resource.apiVersion;
  raw["kind"] = resource.kind.kind;
  const how = fieldValidationOf(call);
  const shape = checkShape(raw, resource.schema);
  if (shape.causes.length > 0 && !resource.custom) {
    throw cannotHandle(resource, shape.decodeError ?? shape.causes[0]?.message ?? "");
  }
  if (shape.causes.length > 0) {
    const { name } = (raw["metadata"] ?? {}) as { name?: string };
    throw refuse.invalid(resource.kind, name ?? "", shape.causes);
  }
  reportStray(call, resource, how, { unknown: shape.unknownFields, duplicate: duplicates });
  if (shape.unknownFields.length > 0) pruneUnknown(raw, resource.schema);
  const object = raw as ApiObject;
  object.metadata ??= {};
  return object;
}

/** Reads the body as an object of `resource`. */
export async function readAdopted(call: Call, resource = call.resource): Promise<ApiObject> {
  const body = await readBody(call.request);
  return adopt(call, resource, body.raw, duplicatesOf(call, body));
}
