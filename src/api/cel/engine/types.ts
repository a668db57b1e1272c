/** Types of expressions, and their names as upstream's messages show them. */

export type TypeKind =
  | "dyn"
  | "null"
  | "bool"
  | "int"
  | "uint"
  | "double"
  | "string"
  | "bytes"
  | "timestamp"
  | "duration"
  | "type"
  | "list"
  | "map"
  | "object"
  | "opaque"
  | "param";

export interface Type {
  readonly kind: TypeKind;
  /** Without its parameters. */
  readonly name: string;
  readonly of: readonly Type[];
  /** Longest text, list or map that the schema lets through; undefined: not known. */
  readonly max?: number;
  /** Fields of an object; undefined for one that it has not. */
  readonly field?: (name: string) => Type | undefined;
}

const plain = (kind: TypeKind, name: string = kind): Type => ({ kind, name, of: [] });

export const dyn = plain("dyn");
export const nullType = plain("null", "null");
export const bool = plain("bool");
export const int = plain("int");
export const uint = plain("uint");
export const double = plain("double");
export const string = plain("string");
export const bytes = plain("bytes");
export const timestamp = plain("timestamp");
export const duration = plain("duration");

export const typeOf = (type: Type): Type => ({ kind: "type", name: "type", of: [type] });
export const listOf = (of: Type, max?: number): Type => ({
  kind: "list",
  name: "list",
  of: [of],
  ...(max !== undefined && { max }),
});
export const mapOf = (key: Type, value: Type, max?: number): Type => ({
  kind: "map",
  name: "map",
  of: [key, value],
  ...(max !== undefined && { max }),
});
export const optionalOf = (of: Type): Type => ({ kind: "opaque", name: "optional_type", of: [of] });
export const objectOf = (name: string, field: (name: string) => Type | undefined): Type => ({
  kind: "object",
  name,
  of: [],
  field,
});
/** A type of ours without fields. */
export const opaque = (name: string): Type => ({ kind: "object", name, of: [] });
export const param = (name: string): Type => plain("param", name);

export const isOptional = (type: Type): boolean => type.name === "optional_type";

/** As messages show it: `map(string, list(int))`. */
export function formatType(type: Type): string {
  if (type.of.length === 0) return type.name;
  return `${type.name}(${type.of.map(formatType).join(", ")})`;
}

const SCALARS = new Set(["bool", "int", "uint", "double", "timestamp", "duration", "null", "type"]);

/** The longest of the types without fields: an address. */
const ADDRESS_BYTES = 16;

/** Most letters, items or entries of a value; infinite where nothing bounds them. */
export function sizeOfType(type: Type): number {
  if (SCALARS.has(type.kind)) return 1;
  if (type.name === "optional_type" && type.of[0] !== undefined) return sizeOfType(type.of[0]);
  if (type.kind === "object") return type.field === undefined ? ADDRESS_BYTES : 1;
  return type.max ?? Number.POSITIVE_INFINITY;
}
