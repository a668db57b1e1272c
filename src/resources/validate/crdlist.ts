/** Lists of custom resources whose items have keys (apiextensions validation; KEP-1965). */
import { type Cause, forbidden, invalid, required } from "#resources/field.ts";
import type { JSONSchemaProps } from "#resources/types.gen.ts";
import { schemaOf } from "#resources/validate/crdschema.ts";

const KEYS = "x-kubernetes-list-map-keys";

/** A key of a list's items is always there: without a value, items could not be told apart. */
function presentCauses(items: JSONSchemaProps, key: string, path: string): Cause[] {
  const property = items.properties?.[key];
  if (!property) return [];
  const at = `${path}.items.properties[${key}]`;
  const causes: Cause[] = [];
  const said = `this property is in ${KEYS}, so it`;
  if (property.default === undefined && !items.required?.includes(key)) {
    causes.push(required(`${at}.default`, `${said} must have a default or be a required property`));
  }
  if (property.nullable === true) {
    causes.push(forbidden(`${at}.nullable`, `${said} cannot be nullable`));
  }
  return causes;
}

function keyCauses(schema: JSONSchemaProps, items: JSONSchemaProps, path: string): Cause[] {
  const at = `${path}.${KEYS}`;
  const keys = schema[KEYS] ?? [];
  const seen = new Set<string>();
  return keys.flatMap((key) => {
    const causes: Cause[] = [];
    const property = items.properties?.[key];
    if (!property) {
      causes.push(invalid(at, keys, "entries must all be names of item properties"));
    } else if (property.type === "array" || property.type === "object") {
      const where = `${path}.items.properties[${key}].type`;
      const detail = "must be a scalar type if parent array's x-kubernetes-list-type is map";
      causes.push(invalid(where, items.type, detail));
    }
    if (seen.has(key)) causes.push(invalid(at, keys, "must not contain duplicate entries"));
    seen.add(key);
    return causes;
  });
}

function mapCauses(schema: JSONSchemaProps, path: string): Cause[] {
  const causes: Cause[] = [];
  if ((schema[KEYS] ?? []).length === 0) {
    const detail = "must not be empty if x-kubernetes-list-type is map";
    causes.push(required(`${path}.${KEYS}`, detail));
  }
  const items = schemaOf(schema.items);
  const at = `${path}.items`;
  if (schema.items === undefined) {
    const detail = "must have a schema if x-kubernetes-list-type is map";
    return [...causes, required(at, detail)];
  }
  if (!items) {
    const detail = "must only have a single schema if x-kubernetes-list-type is map";
    return [...causes, invalid(at, schema.items, detail)];
  }
  if (items.type === "object") return [...causes, ...keyCauses(schema, items, path)];
  const detail = "must be object if parent array's x-kubernetes-list-type is map";
  return [...causes, invalid(`${at}.type`, items.type ?? "", detail)];
}

export function checkMapList(schema: JSONSchemaProps, listType: string, path: string): Cause[] {
  const causes = listType === "map" ? mapCauses(schema, path) : [];
  const items = schemaOf(schema.items);
  if (!items || (listType !== "map" && listType !== "set")) return causes;
  if (items.nullable === true) {
    const detail = `cannot be nullable when x-kubernetes-list-type is ${listType}`;
    causes.push(forbidden(`${path}.items.nullable`, detail));
  }
  if (listType === "set") return causes;
  const keys = schema[KEYS] ?? [];
  return [...causes, ...keys.flatMap((key) => presentCauses(items, key, path))];
}
