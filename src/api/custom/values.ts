/**
 * What a structural schema says about values: ranges, lengths, patterns, choices. Types were
 * checked before.
 * (Kubernetes tasks, CustomResourceDefinitions: validation).
 */
import { checkFormat } from "#api/custom/formats.ts";
import { fitsPattern, type PatternWork } from "#api/custom/patterns.ts";
import { isObject, sameJson } from "#api/json.ts";
import { limits } from "#base/limits.ts";
import { type Cause, duplicate, invalid, required } from "#resources/field.ts";
import type { JSONSchemaProps } from "#resources/types.gen.ts";

type Add = (cause: Cause) => void;

/** A value's place; what stood there before, where that is known and counts. */
interface Spot {
  readonly path: string;
  readonly old?: unknown;
  readonly work: PatternWork;
}

const inBody = (path: string): string => (path === "" ? "" : `${path} in body `);

function should(add: Add, path: string, value: unknown, text: string): void {
  add(invalid(path, value, `${inBody(path)}should ${text}`));
}

function checkNumber(schema: JSONSchemaProps, value: number, path: string, add: Add): void {
  const { minimum, maximum, multipleOf } = schema;
  if (minimum !== undefined) {
    if (schema.exclusiveMinimum === true && value <= minimum) {
      should(add, path, value, `be greater than ${minimum}`);
    } else if (value < minimum) should(add, path, value, `be greater than or equal to ${minimum}`);
  }
  if (maximum !== undefined) {
    if (schema.exclusiveMaximum === true && value >= maximum) {
      should(add, path, value, `be less than ${maximum}`);
    } else if (value > maximum) should(add, path, value, `be less than or equal to ${maximum}`);
  }
  if (multipleOf !== undefined && multipleOf > 0) {
    const parts = value / multipleOf;
    if (Math.abs(parts - Math.round(parts)) > 1e-9) {
      should(add, path, value, `be a multiple of ${multipleOf}`);
    }
  }
}

function checkPattern(pattern: string, value: string, { path, work }: Spot, add: Add): void {
  const fit = fitsPattern(pattern, value, work);
  if (fit === "differs") should(add, path, value, `match '${pattern}'`);
  if (fit !== "costly") return;
  const most = `${limits.patternStepsMax} steps for all patterns of an object`;
  const detail = `past the limit of ${most}; shorten the value or simplify the pattern`;
  add(invalid(path, "", detail));
}

function checkString(schema: JSONSchemaProps, value: string, spot: Spot, add: Add): void {
  const { path } = spot;
  const { minLength, maxLength, pattern, format } = schema;
  const length = minLength === undefined && maxLength === undefined ? 0 : [...value].length;
  if (minLength !== undefined && length < minLength) {
    should(add, path, value, `be at least ${minLength} chars long`);
  }
  if (maxLength !== undefined && length > maxLength) {
    add({
      reason: "FieldValueTooLong",
      field: path,
      message: `Too long: may not be more than ${maxLength} bytes`,
    });
  }
  if (pattern !== undefined) checkPattern(pattern, value, spot, add);
  if (format !== undefined && !checkFormat(format, value)) {
    add(invalid(path, value, `${inBody(path)}must be of type ${format}: ${JSON.stringify(value)}`));
  }
}

const tooMany = (path: string, count: number, max: number): Cause => ({
  reason: "FieldValueTooMany",
  field: path,
  message: `Too many: ${count}: must have at most ${max} items`,
});

/** What makes an item of a list the same as another. */
function keyOf(schema: JSONSchemaProps, item: unknown): string | undefined {
  const type = schema["x-kubernetes-list-type"];
  if (type === "set") return JSON.stringify(item);
  if (type !== "map" || !isObject(item)) return undefined;
  const keys = schema["x-kubernetes-list-map-keys"] ?? [];
  return JSON.stringify(Object.fromEntries(keys.map((key) => [key, item[key]])));
}

/** The items that were there before by their keys: only lists with keys can tell. */
function oldItems(schema: JSONSchemaProps, old: unknown): Map<string | undefined, unknown> {
  if (schema["x-kubernetes-list-type"] !== "map" || !Array.isArray(old)) return new Map();
  return new Map(old.toReversed().map((item) => [keyOf(schema, item), item]));
}

function checkList(schema: JSONSchemaProps, list: unknown[], spot: Spot, add: Add): void {
  const { path, work } = spot;
  const { minItems, maxItems, items } = schema;
  if (minItems !== undefined && list.length < minItems) {
    should(add, path, list.length, `have at least ${minItems} items`);
  }
  if (maxItems !== undefined && list.length > maxItems) add(tooMany(path, list.length, maxItems));
  const seen = new Set<string>();
  const before = oldItems(schema, spot.old);
  list.forEach((item, index) => {
    const place = `${path}[${index}]`;
    const key = keyOf(schema, item);
    if (key !== undefined && seen.has(key)) add(duplicate(place, JSON.parse(key)));
    if (key !== undefined) seen.add(key);
    if (!isObject(items)) return;
    const next = { path: place, old: before.get(key), work };
    checkNode(items as JSONSchemaProps, item, next, add);
  });
}

const join = (path: string, name: string): string => (path === "" ? name : `${path}.${name}`);

function checkFields(
  schema: JSONSchemaProps,
  fields: Record<string, unknown>,
  { path, old, work }: Spot,
  add: Add,
): void {
  const before = isObject(old) ? old : {};
  const { properties = {}, additionalProperties, minProperties, maxProperties } = schema;
  const names = Object.keys(fields);
  for (const name of schema.required ?? []) {
    if (fields[name] === undefined) add(required(join(path, name)));
  }
  if (minProperties !== undefined && names.length < minProperties) {
    should(add, path, names.length, `have at least ${minProperties} properties`);
  }
  if (maxProperties !== undefined && names.length > maxProperties) {
    add(tooMany(path, names.length, maxProperties));
  }
  for (const name of names) {
    const own = properties[name];
    const spot = { path: join(path, name), old: before[name], work };
    if (own !== undefined) checkNode(own, fields[name], spot, add);
    else if (isObject(additionalProperties)) {
      checkNode(additionalProperties as JSONSchemaProps, fields[name], spot, add);
    }
  }
}

const validates = (schema: JSONSchemaProps, value: unknown, spot: Spot): boolean => {
  let fine = true;
  checkNode(schema, value, spot, () => {
    fine = false;
  });
  return fine && hasType(schema, value);
};

/** Branches of a choice may tell types apart. */
function hasType(schema: JSONSchemaProps, value: unknown): boolean {
  switch (schema.type) {
    case "string":
      return typeof value === "string";
    case "integer":
      return Number.isInteger(value);
    case "number":
      return typeof value === "number";
    case "boolean":
      return typeof value === "boolean";
    case "array":
      return Array.isArray(value);
    case "object":
      return isObject(value);
    default:
      return true;
  }
}

function checkChoices(schema: JSONSchemaProps, value: unknown, spot: Spot, add: Add): void {
  const { path } = spot;
  const { allOf, anyOf, oneOf, not } = schema;
  const place = JSON.stringify(path);
  for (const each of allOf ?? []) checkNode(each, value, spot, add);
  if (anyOf !== undefined && !anyOf.some((each) => validates(each, value, spot))) {
    add(invalid(path, shown(value), `${place} must validate at least one schema (anyOf)`));
  }
  if (oneOf !== undefined) {
    const count = oneOf.filter((each) => validates(each, value, spot)).length;
    if (count !== 1) {
      const found = count === 0 ? "Found none valid" : `Found ${count} valid alternatives`;
      const detail = `${place} must validate one and only one schema (oneOf). ${found}`;
      add(invalid(path, shown(value), detail));
    }
  }
  if (not !== undefined && validates(not, value, spot)) {
    add(invalid(path, shown(value), `${place} must not validate the schema (not)`));
  }
}

/** Whole objects are not shown. */
const shown = (value: unknown): unknown =>
  typeof value === "object" && value !== null ? "" : value;

function checkNode(schema: JSONSchemaProps, value: unknown, spot: Spot, add: Add): void {
  const { path, old } = spot;
  if (value === undefined || (old !== undefined && sameJson(value, old))) return;
  if (schema.enum !== undefined && !schema.enum.some((each) => sameJson(each, value))) {
    add({
      reason: "FieldValueNotSupported",
      field: path,
      message:
        `Unsupported value: ${JSON.stringify(value)}: supported values: ` +
        schema.enum.map((each) => JSON.stringify(each)).join(", "),
    });
  }
  // Whether null is a value here was seen to before; of all else only the choice holds for it.
  if (value === null) return;
  if (typeof value === "number") checkNumber(schema, value, path, add);
  else if (typeof value === "string") checkString(schema, value, spot, add);
  else if (Array.isArray(value)) checkList(schema, value, spot, add);
  else if (isObject(value)) checkFields(schema, value, spot, add);
  checkChoices(schema, value, spot, add);
}

function causesIn(schema: JSONSchemaProps, object: object, old?: object): Cause[] {
  const causes: Cause[] = [];
  checkNode(schema, object, { path: "", old, work: { steps: 0 } }, (cause) => {
    causes.push(cause);
  });
  return causes;
}

const isDouble = ({ reason }: Cause): boolean => reason === "FieldValueDuplicate";

/**
 * What was wrong before and is as it was is let be, so that who tightens a schema stops nobody's
 * writes to the rest of an object (KEP-4008); so are doubles, where there were some before.
 */
export function valueCauses(schema: JSONSchemaProps, object: object, old?: object): Cause[] {
  const causes = causesIn(schema, object);
  if (causes.length === 0 || old === undefined) return causes;
  const left = causesIn(schema, object, old);
  if (!left.some(isDouble) || !causesIn(schema, old).some(isDouble)) return left;
  return left.filter((cause) => !isDouble(cause));
}
