/** Types of values at hand: what `type(x)` answers, and which function takes them. */
import {
  bool,
  bytes,
  double,
  duration,
  dyn,
  int,
  listOf,
  mapOf,
  nullType,
  optionalOf,
  string,
  type Type,
  timestamp,
  typeOf,
  uint,
} from "#api/cel/engine/types.ts";
import {
  CelMap,
  Duration,
  Extension,
  List,
  Optional,
  Timestamp,
  TypeValue,
  Uint,
  type Value,
} from "#api/cel/engine/values.ts";

const anyList = listOf(dyn);
const anyMap = mapOf(dyn, dyn);

export function typeOfValue(value: Value): Type {
  switch (typeof value) {
    case "bigint":
      return int;
    case "number":
      return double;
    case "string":
      return string;
    case "boolean":
      return bool;
  }
  if (value === null) return nullType;
  if (value instanceof List) return anyList;
  if (value instanceof CelMap) return value.type ?? anyMap;
  if (value instanceof Uint8Array) return bytes;
  if (value instanceof Uint) return uint;
  if (value instanceof Timestamp) return timestamp;
  if (value instanceof Duration) return duration;
  if (value instanceof Optional) return optionalOf(dyn);
  if (value instanceof TypeValue) return typeOf(value.type);
  if (value instanceof Extension) return value.type;
  return dyn;
}

/** Whether a value will do for a parameter; what is inside of lists and maps is not looked at. */
export function accepts(wanted: Type, value: Value): boolean {
  switch (wanted.kind) {
    case "dyn":
    case "param":
      return true;
    case "list":
      return value instanceof List;
    case "map":
      return value instanceof CelMap;
    case "opaque":
      return value instanceof Optional;
    case "object": {
      const type = typeOfValue(value);
      return type.kind === "object" && type.name === wanted.name;
    }
    default:
      return typeOfValue(value).kind === wanted.kind;
  }
}

/** Letters, bytes, items or entries; 1 for all else. */
export function sizeOf(value: Value): number {
  if (typeof value === "string") return value.length;
  if (typeof value !== "object" || value === null) return 1;
  if (value instanceof List || value instanceof CelMap) return value.size;
  if (value instanceof Uint8Array) return value.length;
  if (value instanceof Optional) return value.value === undefined ? 1 : sizeOf(value.value);
  return value instanceof Extension ? value.size() : 1;
}
