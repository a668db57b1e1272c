/**
 * Schemas as types of expressions, and how their values are read: what is an integer, a time,
 * bytes. The bounds in a schema bound what an expression can cost.
 */

import { CelError } from "#api/cel/engine/problems.ts";
import {
  bool,
  bytes,
  double,
  duration,
  dyn,
  int,
  listOf,
  mapOf,
  objectOf,
  string,
  type Type,
  timestamp,
} from "#api/cel/engine/types.ts";
import {
  type Convert,
  type Field,
  fromJson,
  JsonMap,
  JsonObject,
  List,
  type ListKeys,
} from "#api/cel/engine/values.ts";
import { parseDuration, parseTime } from "#api/cel/functions/clockwords.ts";
import { escapeName } from "#api/cel/names.ts";
import { isObject } from "#api/json.ts";
import { compoundKey } from "#base/key.ts";
import { limits } from "#base/limits.ts";
import { resolve, type Schema } from "#resources/schema.ts";
import type { ValidationRule } from "#resources/types.gen.ts";

/** A node of a schema with what bounds its values. */
export interface CelSchema extends Omit<Schema, "properties" | "items" | "additionalProperties"> {
  properties?: Record<string, CelSchema>;
  items?: CelSchema;
  additionalProperties?: CelSchema | boolean;
  allOf?: CelSchema[];
  maxLength?: number;
  maxItems?: number;
  maxProperties?: number;
  "x-kubernetes-validations"?: ValidationRule[];
}

/** What expressions see of a schema. */
export interface Declared {
  readonly type: Type;
  readonly convert: Convert;
  /** Bytes of the shortest JSON text. */
  readonly bytesMin: number;
  /** Items of a list, values of a map. */
  readonly each?: Declared;
  /** Of an object, by the property's own name. */
  readonly fields?: ReadonlyMap<string, Declared>;
}

const BYTES_MAX = limits.requestBodyBytesMax;
const TIME_LETTERS = 32;
const DATE_LETTERS = 12;

const orNull =
  (convert: Convert): Convert =>
  (raw) =>
    raw === null || raw === undefined ? null : convert(raw);

const scalar = (type: Type, convert: Convert, bytesMin: number, max?: number): Declared => ({
  type: max === undefined ? type : { ...type, max },
  convert: orNull(convert),
  bytesMin,
});

const toInt: Convert = (raw) =>
  typeof raw === "number" && Number.isInteger(raw) ? BigInt(raw) : fromJson(raw);

const toDouble: Convert = (raw) => (typeof raw === "number" ? raw : fromJson(raw));

const toTime: Convert = (raw) => {
  const value = String(raw);
  return parseTime(value.length === 10 ? `${value}T00:00:00Z` : value);
};

const toBytes: Convert = (raw) => {
  const value = String(raw);
  if (!/^[A-Za-z0-9+/]*={0,2}$/.test(value)) throw new CelError(`Invalid byte: ${value}`);
  return Uint8Array.from(Buffer.from(value, "base64"));
};

function declareString(schema: CelSchema): Declared {
  const { format, maxLength } = schema;
  const letters = BYTES_MAX - 2;
  switch (format) {
    case "byte":
      return scalar(bytes, toBytes, 2, maxLength ?? letters);
    case "duration":
      return scalar(duration, (raw) => parseDuration(String(raw)), 3, TIME_LETTERS);
    case "date":
      return scalar(timestamp, toTime, DATE_LETTERS, DATE_LETTERS);
    case "date-time":
      return scalar(timestamp, toTime, 21, TIME_LETTERS);
  }
  if (maxLength !== undefined) return scalar(string, fromJson, 2, Math.max(0, maxLength) * 4);
  const choices = schema.enum ?? [];
  if (choices.length === 0) return scalar(string, fromJson, 2, letters);
  const longest = choices.map((each) => (typeof each === "string" ? each.length : 0));
  return scalar(string, fromJson, 2, Math.max(...longest));
}

function keysOf(schema: CelSchema): ListKeys | undefined {
  const kind = schema["x-kubernetes-list-type"];
  if (kind === "set") return "set";
  return kind === "map" ? (schema["x-kubernetes-list-map-keys"] ?? []) : undefined;
}

/** How a built-in kind's schema is read: nodes without a type may be anything. */
interface Style {
  readonly loose: boolean;
}

function declareList(schema: CelSchema, name: string, style: Style): Declared | undefined {
  const { items } = schema;
  if (items === undefined) return undefined;
  const each = declare(items, `${name}.@items`, false, style);
  if (each === undefined) return undefined;
  const max = schema.maxItems ?? Math.floor((BYTES_MAX - 2) / (each.bytesMin + 1));
  const keys = keysOf(schema);
  const { convert } = each;
  return {
    type: listOf(each.type, Math.max(0, max)),
    convert: orNull((raw) => (Array.isArray(raw) ? new List(raw, convert, keys) : fromJson(raw))),
    bytesMin: 2,
    each,
  };
}

function declareMap(
  schema: CelSchema,
  values: CelSchema,
  name: string,
  style: Style,
): Declared | undefined {
  const each = declare(values, `${name}.@values`, false, style);
  if (each === undefined) return undefined;
  const max = schema.maxProperties ?? Math.floor((BYTES_MAX - 2) / (each.bytesMin + 6));
  const { convert } = each;
  return {
    type: mapOf(string, each.type, Math.max(0, max)),
    convert: orNull((raw) => (isObject(raw) ? new JsonMap(raw, convert) : fromJson(raw))),
    bytesMin: 2,
    each,
  };
}

const text: CelSchema = { type: "string" };

/** What rules at the root of an object may always look at. */
const ROOT: Readonly<Record<string, CelSchema>> = {
  apiVersion: text,
  kind: text,
  metadata: { type: "object", properties: { name: text, generateName: text } },
};

class ObjectShape {
  readonly #properties: Readonly<Record<string, CelSchema>>;
  readonly #name: string;
  readonly #style: Style;
  #declared: ReadonlyMap<string, Declared> | undefined;
  #fields: ReadonlyMap<string, Field> | undefined;
  #types: ReadonlyMap<string, Type> | undefined;

  constructor(properties: Readonly<Record<string, CelSchema>>, name: string, style: Style) {
    this.#properties = properties;
    this.#name = name;
    this.#style = style;
  }

  /** Kinds hold themselves somewhere: nothing is worked out before it is asked for. */
  get declared(): ReadonlyMap<string, Declared> {
    if (this.#declared === undefined) {
      const all = new Map<string, Declared>();
      for (const [property, schema] of Object.entries(this.#properties)) {
        const found = declare(schema, `${this.#name}.${property}`, false, this.#style);
        if (found !== undefined) all.set(property, found);
      }
      this.#declared = all;
    }
    return this.#declared;
  }

  get fields(): ReadonlyMap<string, Field> {
    if (this.#fields === undefined) {
      const all = new Map<string, Field>();
      for (const [property, { convert }] of this.declared) {
        const name = escapeName(property);
        if (name !== undefined) all.set(name, { property, convert });
      }
      this.#fields = all;
    }
    return this.#fields;
  }

  typeOf(name: string): Type | undefined {
    if (this.#types === undefined) {
      const all = new Map<string, Type>();
      for (const [property, { type }] of this.declared) {
        const escaped = escapeName(property);
        if (escaped !== undefined) all.set(escaped, type);
      }
      this.#types = all;
    }
    return this.#types.get(name);
  }
}

function declareObject(schema: CelSchema, name: string, root: boolean, style: Style): Declared {
  const properties = { ...schema.properties, ...(root && !style.loose && ROOT) };
  const shape = new ObjectShape(properties, name, style);
  const type = objectOf(name, (field) => shape.typeOf(field));
  const required = (schema.required ?? []).filter(
    (property) => properties[property]?.default === undefined,
  );
  return {
    type,
    convert: orNull((raw) =>
      isObject(raw) ? new JsonObject(raw, shape.fields, type) : fromJson(raw),
    ),
    get bytesMin() {
      if (style.loose) return 2;
      return required.reduce((sum, property) => {
        const field = shape.declared.get(property);
        return field === undefined ? sum : sum + property.length + field.bytesMin + 4;
      }, 2);
    },
    get fields() {
      return shape.declared;
    },
  };
}

const cache = new WeakMap<object, Map<string, Declared | undefined>>();

/**
 * Undefined for what rules cannot see: a value without a type. `root` for the root of an object,
 * which always has a name and a kind.
 */
function declare(
  schema: CelSchema,
  name: string,
  root: boolean,
  style: Style,
): Declared | undefined {
  const known = cache.get(schema) ?? new Map<string, Declared | undefined>();
  cache.set(schema, known);
  const key = compoundKey(name, String(root), String(style.loose));
  if (known.has(key)) return known.get(key);
  const ref = schema.$ref;
  const made =
    ref === undefined
      ? declareNew(schema, name, root || schema["x-kubernetes-embedded-resource"] === true, style)
      : declare(resolve(schema as Schema) as CelSchema, ref, root, style);
  known.set(key, made);
  return made;
}

function declareNew(
  schema: CelSchema,
  name: string,
  root: boolean,
  style: Style,
): Declared | undefined {
  if (schema["x-kubernetes-int-or-string"] === true) {
    const max = schema.maxLength === undefined ? BYTES_MAX - 2 : schema.maxLength * 4;
    return scalar(dyn, fromJson, 1, max);
  }
  switch (schema.type) {
    case "string":
      return declareString(schema);
    case "boolean":
      return scalar(bool, fromJson, 4);
    case "integer":
      return scalar(int, toInt, 1);
    case "number":
      return scalar(double, toDouble, 1);
    case "array":
      return declareList(schema, name, style);
    case "object": {
      const { additionalProperties: values } = schema;
      if (isObject(values)) return declareMap(schema, values as CelSchema, name, style);
      return declareObject(schema, name, root, style);
    }
    default:
      return style.loose ? scalar(dyn, fromJson, 1) : undefined;
  }
}

/** A custom resource's schema, or a part of it. */
export const declareSchema = (
  schema: CelSchema,
  name: string,
  root: boolean,
): Declared | undefined => declare(schema, name, root, { loose: false });

/** A built-in kind's schema. */
export const declareKind = (schema: Schema, name: string): Declared | undefined =>
  declare(schema as CelSchema, name, true, { loose: true });
