/**
 * Values while an expression is evaluated: int is a bigint, double a number, the rest as named
 * here. Lists and maps that came from JSON stay as they are and convert what is asked for, as their
 * schema says.
 */
import type { Type } from "#api/cel/engine/types.ts";

export class Uint {
  readonly value: bigint;
  constructor(value: bigint) {
    this.value = value;
  }
}

/** Nanoseconds since 1970. */
export class Timestamp {
  readonly nanos: bigint;
  constructor(nanos: bigint) {
    this.nanos = nanos;
  }
}

export class Duration {
  readonly nanos: bigint;
  constructor(nanos: bigint) {
    this.nanos = nanos;
  }
}

/** The value of `int` or `type(x)`. */
export class TypeValue {
  readonly type: Type;
  constructor(type: Type) {
    this.type = type;
  }
}

export class Optional {
  static readonly none = new Optional(undefined);
  readonly value: Value | undefined;
  constructor(value: Value | undefined) {
    this.value = value;
  }
}

/** Types that Kubernetes adds: quantities, addresses, URLs, the authorizer. */
export abstract class Extension {
  abstract readonly type: Type;
  abstract equals(other: Extension): boolean;
  /** What it costs to look at. */
  size(): number {
    return 1;
  }
  /** Undefined for a field that it has not. */
  field(_name: string): Value | undefined {
    return undefined;
  }
}

export type Convert = (raw: unknown) => Value;

const same: Convert = (raw) => raw as Value;

/**
 * Lists whose order or doubles do not count.
 * https://kubernetes.io/docs/reference/using-api/server-side-apply/#merge-strategy
 */
export type ListKeys = "set" | readonly string[];

export class List {
  readonly raw: readonly unknown[];
  readonly keys: ListKeys | undefined;
  readonly #convert: Convert;

  constructor(raw: readonly unknown[], convert: Convert = same, keys?: ListKeys) {
    this.raw = raw;
    this.#convert = convert;
    this.keys = keys;
  }

  get size(): number {
    return this.raw.length;
  }

  at(index: number): Value {
    return this.#convert(this.raw[index]);
  }

  *[Symbol.iterator](): Generator<Value> {
    for (const each of this.raw) yield this.#convert(each);
  }
}

/** A map, or an object with declared fields. */
export abstract class CelMap {
  abstract readonly size: number;
  /** Undefined where it has none. */
  abstract get(key: Value): Value | undefined;
  abstract keys(): Iterable<Value>;
  /** Of an object with declared fields. */
  readonly type: Type | undefined = undefined;
}

/** Fields of an object: the name in expressions, the property, and how its value is read. */
export interface Field {
  readonly property: string;
  readonly convert: Convert;
}

/** Fewer keys than these are counted each time. */
const KEYS_KNOWN_MIN = 32;

/** The keys of large maps, while one evaluation runs: to list them takes as long as they are. */
let keysKnown: WeakMap<object, readonly string[]> | undefined;

/** Maps may have changed since the last evaluation. */
export function forgetKeys(): void {
  keysKnown = undefined;
}

function keysOf(raw: Readonly<Record<string, unknown>>): readonly string[] {
  const known = keysKnown?.get(raw);
  if (known !== undefined) return known;
  const keys = Object.keys(raw);
  if (keys.length < KEYS_KNOWN_MIN) return keys;
  keysKnown ??= new WeakMap();
  keysKnown.set(raw, keys);
  return keys;
}

export class JsonMap extends CelMap {
  readonly raw: Readonly<Record<string, unknown>>;
  readonly #convert: Convert;

  constructor(raw: Readonly<Record<string, unknown>>, convert: Convert) {
    super();
    this.raw = raw;
    this.#convert = convert;
  }

  get size(): number {
    return keysOf(this.raw).length;
  }

  get(key: Value): Value | undefined {
    if (typeof key !== "string" || !Object.hasOwn(this.raw, key)) return undefined;
    const value = this.raw[key];
    return value === undefined ? undefined : this.#convert(value);
  }

  *keys(): Generator<Value> {
    for (const key of keysOf(this.raw)) if (this.raw[key] !== undefined) yield key;
  }
}

/** A field that is null is not there, other than items of lists and values of maps. */
export class JsonObject extends CelMap {
  readonly raw: Readonly<Record<string, unknown>>;
  readonly #fields: ReadonlyMap<string, Field>;
  override readonly type: Type;

  constructor(
    raw: Readonly<Record<string, unknown>>,
    fields: ReadonlyMap<string, Field>,
    type: Type,
  ) {
    super();
    this.raw = raw;
    this.#fields = fields;
    this.type = type;
  }

  get size(): number {
    return [...this.keys()].length;
  }

  get(key: Value): Value | undefined {
    const field = typeof key === "string" ? this.#fields.get(key) : undefined;
    if (field === undefined || !Object.hasOwn(this.raw, field.property)) return undefined;
    const value = this.raw[field.property];
    return value === undefined || value === null ? undefined : field.convert(value);
  }

  *keys(): Generator<Value> {
    for (const [name, { property }] of this.#fields) {
      const value = this.raw[property];
      if (value !== undefined && value !== null) yield name;
    }
  }
}

/** Fields that are worked out when they are asked for. */
export class LazyObject extends CelMap {
  readonly #get: (name: string) => Value | undefined;
  readonly #names: readonly string[];

  constructor(names: readonly string[], get: (name: string) => Value | undefined) {
    super();
    this.#names = names;
    this.#get = get;
  }

  get size(): number {
    return this.#names.length;
  }

  get(key: Value): Value | undefined {
    return typeof key === "string" ? this.#get(key) : undefined;
  }

  *keys(): Generator<Value> {
    yield* this.#names;
  }
}

/** 1, 1u and 1.0 are one key. */
function keyText(key: Value): string {
  if (key instanceof Uint) return `n${key.value}`;
  if (typeof key === "bigint") return `n${key}`;
  if (typeof key === "number") return `n${Number.isInteger(key) ? BigInt(key) : key}`;
  return typeof key === "string" ? `s${key}` : `b${String(key)}`;
}

export class LiteralMap extends CelMap {
  readonly #entries = new Map<string, { key: Value; value: Value }>();

  get size(): number {
    return this.#entries.size;
  }

  /** False where the key was there. */
  put(key: Value, value: Value): boolean {
    const text = keyText(key);
    if (this.#entries.has(text)) return false;
    this.#entries.set(text, { key, value });
    return true;
  }

  get(key: Value): Value | undefined {
    return this.#entries.get(keyText(key))?.value;
  }

  *keys(): Generator<Value> {
    for (const { key } of this.#entries.values()) yield key;
  }
}

export type Value =
  | null
  | boolean
  | bigint
  | number
  | string
  | Uint8Array
  | Uint
  | Timestamp
  | Duration
  | TypeValue
  | Optional
  | List
  | CelMap
  | Extension;

/** A value without a schema: whole numbers are ints. */
export function fromJson(raw: unknown): Value {
  switch (typeof raw) {
    case "number":
      return Number.isInteger(raw) ? BigInt(raw) : raw;
    case "string":
    case "boolean":
    case "bigint":
      return raw;
    case "object":
      if (raw === null) return null;
      if (Array.isArray(raw)) return new List(raw, fromJson);
      return new JsonMap(raw as Record<string, unknown>, fromJson);
    default:
      return null;
  }
}
