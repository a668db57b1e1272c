/**
 * The close look, where the quick one was not satisfied: says what is wrong and where, and puts
 * into Kubernetes' form what is only untidy (nulls, `1000m`, times with an offset).
 */
import { limits } from "#base/limits.ts";
import { type Cause, typeInvalid } from "#resources/field.ts";
import { isInt32 } from "#resources/shape/fits.ts";
import { Code, type Node } from "#resources/shape/node.ts";
import { type Read, readBytes, readQuantity, readTime } from "#resources/shape/scalars.ts";

type Fields = Record<string, unknown>;

/** Where the look is. */
interface Place {
  readonly path: string;
  /** Names of fields only, and the innermost struct: for Go's messages. */
  readonly field: string;
  readonly struct: string;
  readonly depth: number;
}

export const root: Place = { path: "", field: "", struct: "", depth: 0 };

const join = (path: string, key: string): string => (path === "" ? key : `${path}.${key}`);

function typeOf(value: unknown): string {
  if (value === null || value === undefined) return "null";
  if (Array.isArray(value)) return "array";
  return typeof value === "boolean" ? "bool" : typeof value;
}

const jsonTypeOf = (value: unknown): string =>
  typeof value === "boolean" ? "boolean" : typeOf(value);

const isFields = (value: unknown): value is Fields =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** Go tells the number where it expects an integer. */
const INTEGERS = new Set<number>([Code.int32, Code.int64, Code.intOrString]);

export class Findings {
  readonly unknownFields: string[] = [];
  readonly causes: Cause[] = [];
  /** Of the first cause, as Go's decoder says it. */
  decodeError: string | undefined;

  /** The value is of a wrong type; it stays as it is. */
  wrongType(node: Node, value: unknown, place: Place): unknown {
    const given = node.native ? typeOf(value) : jsonTypeOf(value);
    const detail = `${place.path} in body must be of type ${node.type}: ${JSON.stringify(given)}`;
    this.causes.push(typeInvalid(place.path, given, detail));
    const number = typeof value === "number" && INTEGERS.has(node.code) ? ` ${value}` : "";
    this.decodeError ??=
      `json: cannot unmarshal ${given}${number} into Go struct field ` +
      `${place.struct}.${place.field} of type ${node.type}`;
    return value;
  }

  /** The value is of the right type but says nothing that can be read. */
  unreadable(value: unknown, place: Place, problem: string): unknown {
    this.causes.push(typeInvalid(place.path, value, problem));
    this.decodeError ??= problem;
    return value;
  }
}

/**
 * The value as it should be; what is wrong with it goes into `out`. Objects are changed in place.
 */
export function tidy(node: Node, value: unknown, place: Place, out: Findings): unknown {
  if (value === null || value === undefined) return tidyNull(node, place, out);
  if (place.depth > limits.objectDepthMax) return out.unreadable("", place, "exceeded max depth");
  switch (node.code) {
    case Code.any:
      return value;
    case Code.anyObject:
      return isFields(value) ? value : out.wrongType(node, value, place);
    case Code.struct:
      return isFields(value)
        ? tidyStruct(node, value, place, out)
        : out.wrongType(node, value, place);
    case Code.map:
      return isFields(value) ? tidyMap(node, value, place, out) : out.wrongType(node, value, place);
    case Code.list:
      return Array.isArray(value)
        ? tidyList(node, value, place, out)
        : out.wrongType(node, value, place);
    default:
      return tidyScalar(node, value, place, out);
  }
}

/** In Go a null leaves the zero value; in a custom resource it must be allowed. */
function tidyNull(node: Node, place: Place, out: Findings): unknown {
  if (node.code === Code.any || node.nullable) return null;
  if (!node.native) return out.wrongType(node, null, place);
  switch (node.code) {
    case Code.struct:
    case Code.map:
    case Code.anyObject:
      return {};
    case Code.list:
      return [];
    case Code.boolean:
      return false;
    case Code.quantity:
      return "0";
    case Code.text:
    case Code.bytes:
    case Code.time:
    case Code.microTime:
      return "";
    default:
      return 0;
  }
}

function tidyStruct(node: Node, value: Fields, place: Place, out: Findings): Fields {
  for (const key of Object.keys(value)) {
    const path = join(place.path, key);
    const child = node.children.get(key);
    if (child === undefined) {
      if (!node.open) out.unknownFields.push(path);
      continue;
    }
    const given = value[key];
    if ((given === null || given === undefined) && dropsNull(child)) {
      delete value[key];
      continue;
    }
    const field = join(place.field, key);
    const at = { path, field, struct: node.name, depth: place.depth + 1 };
    const next = tidy(child, given, at, out);
    if (next !== given) value[key] = next;
  }
  return value;
}

/** A null in a struct is the same as nothing, but where null is a value. */
const dropsNull = (child: Node): boolean => child.native || !child.nullable;

/** Where there is a default it takes the place of the null later. */
const awaitsDefault = (node: Node, value: unknown): boolean =>
  value === null && !node.native && !node.nullable && node.default !== undefined;

function tidyMap(node: Node, value: Fields, place: Place, out: Findings): Fields {
  const { item } = node;
  if (item === undefined) return value;
  for (const key of Object.keys(value)) {
    const given = value[key];
    if (awaitsDefault(item, given)) continue;
    if (given === null && !item.native && !item.nullable) {
      delete value[key];
      continue;
    }
    const at = { ...place, path: join(place.path, key), depth: place.depth + 1 };
    const next = tidy(item, given, at, out);
    if (next !== given) value[key] = next;
  }
  return value;
}

function tidyList(node: Node, value: unknown[], place: Place, out: Findings): unknown[] {
  const { item } = node;
  if (item === undefined) return value;
  value.forEach((given, index) => {
    if (awaitsDefault(item, given)) return;
    const at = { ...place, path: `${place.path}[${index}]`, depth: place.depth + 1 };
    value[index] = tidy(item, given, at, out);
  });
  return value;
}

function tidyScalar(node: Node, value: unknown, place: Place, out: Findings): unknown {
  if (scalarFits(node, value)) return value;
  const read = typeof value === "string" ? readText(node, value) : readOther(node, value);
  if (read === undefined) return out.wrongType(node, value, place);
  return "value" in read ? read.value : out.unreadable(value, place, read.problem);
}

function readText(node: Node, value: string): Read | undefined {
  switch (node.code) {
    case Code.quantity:
      return readQuantity(value);
    case Code.time:
    case Code.microTime:
      return readTime(value, node.code === Code.microTime);
    case Code.bytes:
      return readBytes(value);
    default:
      return undefined;
  }
}

const readOther = (node: Node, value: unknown): Read | undefined =>
  node.code === Code.quantity ? readQuantity(JSON.stringify(value)) : undefined;

function scalarFits(node: Node, value: unknown): boolean {
  switch (node.code) {
    case Code.text:
      return typeof value === "string";
    case Code.intOrString:
      return typeof value === "string" || isInt32(value);
    case Code.int32:
      return isInt32(value);
    case Code.int64:
      return typeof value === "number" && Number.isInteger(value);
    case Code.number:
      return typeof value === "number";
    case Code.boolean:
      return typeof value === "boolean";
    default:
      return false;
  }
}
