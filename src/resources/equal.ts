/** Whether two values of the API mean the same. */
import pointersText from "#resources/pointers.gen.json" with { type: "text" };
import { compareQuantity } from "#resources/quantity.ts";
import { definitions, resolve, type Schema } from "#resources/schema.ts";

function isBlank(value: unknown): boolean {
  if (value === undefined || value === null || value === false) return true;
  if (value === 0 || value === "") return true;
  if (Array.isArray(value)) return value.length === 0;
  return typeof value === "object" && Object.values(value).every(isBlank);
}

function sameObject(a: object, b: object): boolean {
  const left = a as Record<string, unknown>;
  const right = b as Record<string, unknown>;
  for (const key of Object.keys(left)) {
    if (!sameValue(left[key], right[key])) return false;
  }
  for (const key of Object.keys(right)) {
    if (!(key in left) && !isBlank(right[key])) return false;
  }
  return true;
}

/**
 * Without a look at types: what a typed client leaves out when it writes an object back (false, 0,
 * empty text, lists and maps) equals what is absent.
 */
export function sameValue(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (isBlank(a)) return isBlank(b);
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return false;
  if (!Array.isArray(a) || !Array.isArray(b)) {
    return !Array.isArray(a) && !Array.isArray(b) && sameObject(a, b);
  }
  return a.length === b.length && a.every((item, index) => sameValue(item, b[index]));
}

let pointers: ReadonlyMap<string, ReadonlySet<string>> | undefined;

/** Fields of a definition where absent is a value of its own. */
function pointersOf(definition: string): ReadonlySet<string> | undefined {
  pointers ??= new Map(
    Object.entries(JSON.parse(pointersText as unknown as string) as Record<string, string[]>).map(
      ([name, fields]) => [name, new Set(fields)],
    ),
  );
  return pointers.get(definition);
}

type Fields = Readonly<Record<string, unknown>>;

const NOTHING: Fields = {};
const QUANTITY = "io.k8s.apimachinery.pkg.api.resource.Quantity";

function sameStruct(schema: Schema, definition: string, a: Fields, b: Fields): boolean {
  const own = pointersOf(definition);
  const names = new Set([...Object.keys(a), ...Object.keys(b)]);
  for (const name of names) {
    const absent = (a[name] ?? undefined) === undefined || (b[name] ?? undefined) === undefined;
    if (absent && own?.has(name)) {
      if ((a[name] ?? undefined) !== (b[name] ?? undefined)) return false;
    } else if (!sameNode(schema.properties?.[name] ?? {}, a[name], b[name])) return false;
  }
  return true;
}

/** A key with an empty value is not the same as no key. */
function sameMap(item: Schema, a: Fields, b: Fields): boolean {
  const names = Object.keys(a);
  if (names.length !== Object.keys(b).length) return false;
  return names.every((name) => name in b && sameNode(item, a[name], b[name]));
}

function sameNode(node: Schema, a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (node.$ref === QUANTITY) return compareQuantity(String(a ?? 0), String(b ?? 0)) === 0;
  const schema = resolve(node);
  const item = schema.additionalProperties;
  if (schema.properties) {
    const [left, right] = [(a ?? NOTHING) as Fields, (b ?? NOTHING) as Fields];
    return sameStruct(schema, node.$ref ?? "", left, right);
  }
  if (typeof item === "object") return sameMap(item, (a ?? {}) as Fields, (b ?? {}) as Fields);
  if (schema.type === "array" && schema.items) {
    const [left, right] = [(a ?? []) as unknown[], (b ?? []) as unknown[]];
    const { items } = schema;
    return left.length === right.length && left.every((x, i) => sameNode(items, x, right[i]));
  }
  return sameValue(a, b);
}

/**
 * By the types that Go has for a definition: an absent pointer differs from one to nothing, and a
 * quantity equals another way to write it.
 */
export const sameTyped = (definition: string, a: unknown, b: unknown): boolean =>
  sameNode(definitions()[definition] ? { $ref: definition } : {}, a, b);

/** One field of two objects of a definition. */
export const sameField = <T extends object>(
  definition: string,
  field: keyof T & string,
  a: T | undefined,
  b: T | undefined,
): boolean => sameTyped(definition, { [field]: a?.[field] }, { [field]: b?.[field] });

/** Names of definitions that are compared most. */
export const POD_SPEC = "io.k8s.api.core.v1.PodSpec";
export const LABEL_SELECTOR = "io.k8s.apimachinery.pkg.apis.meta.v1.LabelSelector";
