/**
 * A checked tree becomes functions. Costs follow those of upstream's interpreter (cel-go
 * interpreter/runtimecost.go).
 */
import type {
  Bind,
  Call,
  Ident,
  ListLiteral,
  MapLiteral,
  Node,
  Select,
} from "#api/cel/engine/ast.ts";
import { foldCode } from "#api/cel/engine/folds.ts";
import type { Code, Frame } from "#api/cel/engine/frame.ts";
import type { Overload } from "#api/cel/engine/overload.ts";
import { CelError } from "#api/cel/engine/problems.ts";
import { formatType, type Type } from "#api/cel/engine/types.ts";
import { accepts, sizeOf, typeOfValue } from "#api/cel/engine/typing.ts";
import {
  CelMap,
  Extension,
  List,
  LiteralMap,
  Optional,
  type Value,
} from "#api/cel/engine/values.ts";
import { limits } from "#base/limits.ts";

export const LIST_COST = 10;
export const MAP_COST = 30;

export class Compiler {
  readonly #typeOf: (node: Node) => Type;
  readonly #locals: string[] = [];
  /** Places that were given to loops and calls, for what they keep between turns. */
  #places = 0;

  constructor(typeOf: (node: Node) => Type) {
    this.#typeOf = typeOf;
  }

  compile(node: Node): Code {
    switch (node.op) {
      case "literal": {
        const { value } = node;
        return () => value;
      }
      case "ident":
        return this.#ident(node);
      case "select":
        return this.#select(node);
      case "call":
        return this.#call(node);
      case "list":
        return this.#list(node);
      case "map":
        return this.#map(node);
      case "fold": {
        const range = this.compile(node.range);
        return this.#within(node.variables, (slots) => {
          const from = this.#places;
          const predicate = node.predicate && this.compile(node.predicate);
          const transform = node.transform && this.compile(node.transform);
          const inside = [from, this.#places] as const;
          const place = this.#places++;
          return foldCode({ kind: node.kind, range, slots, predicate, transform, place, inside });
        });
      }
      case "bind":
        return this.#bind(node);
    }
  }

  #within<T>(names: readonly string[], work: (slots: readonly number[]) => T): T {
    const slots = names.map((name) => this.#locals.push(name) - 1);
    const result = work(slots);
    this.#locals.length -= names.length;
    return result;
  }

  #ident({ name, constant }: Ident): Code {
    if (constant !== undefined) return () => constant;
    const slot = this.#locals.lastIndexOf(name);
    if (slot >= 0) {
      return (frame) => {
        frame.spend(1);
        return frame.locals[slot] ?? null;
      };
    }
    return (frame) => {
      frame.spend(1);
      const value = frame.variable(name);
      if (value === undefined) throw new CelError(`no such attribute(s): ${name}`);
      return value;
    };
  }

  #select(node: Select): Code {
    const { constant, field, test, optional } = node;
    if (constant !== undefined) return () => constant;
    const operand = this.compile(node.operand);
    if (test) return (frame) => isSet(operand(frame), field);
    return (frame) => {
      frame.spend(1);
      const value = operand(frame);
      if (optional || value instanceof Optional) return optionalGet(value, field);
      if (!(value instanceof CelMap || value instanceof Extension)) throw noField(value, field);
      const found = value instanceof CelMap ? value.get(field) : value.field(field);
      if (found === undefined) throw new CelError(`no such key: ${field}`);
      return found;
    };
  }

  #list({ items }: ListLiteral): Code {
    const codes = items.map(({ value, optional }) => ({ code: this.compile(value), optional }));
    return (frame) => {
      const out: Value[] = [];
      for (const { code, optional } of codes) {
        const value = code(frame);
        if (!optional) out.push(value);
        else if (value instanceof Optional && value.value !== undefined) out.push(value.value);
      }
      frame.spend(LIST_COST);
      return new List(out);
    };
  }

  #map({ entries }: MapLiteral): Code {
    const codes = entries.map(({ key, value, optional }) => ({
      key: this.compile(key),
      value: this.compile(value),
      optional,
    }));
    return (frame) => {
      const out = new LiteralMap();
      for (const each of codes) {
        const key = each.key(frame);
        const given = each.value(frame);
        const value = each.optional && given instanceof Optional ? given.value : given;
        if (value === undefined) continue;
        if (!isKey(key)) throw new CelError(`unsupported key type: ${typeName(key)}`);
        if (!out.put(key, value)) throw new CelError(`Failed with repeated key`);
      }
      frame.spend(MAP_COST);
      return out;
    };
  }

  #bind(node: Bind): Code {
    const value = this.compile(node.value);
    return this.#within([node.name], ([slot = 0]) => {
      const body = this.compile(node.body);
      if (node.optional === "none") {
        return (frame) => {
          frame.locals[slot] = value(frame);
          return body(frame);
        };
      }
      const wrap = node.optional === "map";
      return (frame) => {
        const given = value(frame);
        if (!(given instanceof Optional)) throw new CelError("no such overload");
        if (given.value === undefined) return Optional.none;
        frame.locals[slot] = given.value;
        const result = body(frame);
        return wrap ? new Optional(result) : result;
      };
    });
  }

  #call(node: Call): Code {
    const given = node.target === undefined ? node.args : [node.target, ...node.args];
    const args = given.map((arg) => this.compile(arg));
    const [first, second, third] = args;
    if (first !== undefined && second !== undefined) {
      if (node.name === "_&&_") return logical(first, second, false);
      if (node.name === "_||_") return logical(first, second, true);
      if (node.name === "_?_:_" && third !== undefined) return conditional(first, second, third);
    }
    const overloads = node.overloads ?? [];
    const [only] = overloads;
    const known = given.every((arg) => !isOpen(this.#typeOf(arg)));
    if (only !== undefined && overloads.length === 1 && known) {
      if (!isShort(only, args)) return directCall(only, args, this.#places++);
      const [left, right] = args as [Code, Code];
      return shortCall(only, left, right);
    }
    return dispatchedCall(overloads, args, this.#places++);
  }
}

/** Whether the value may turn out to be of another type. */
const isOpen = (type: Type): boolean => type.kind === "dyn" || type.kind === "param";

const isKey = (value: Value): boolean =>
  typeof value !== "object" || (value !== null && typeOfValue(value).kind === "uint");

export const typeName = (value: Value): string => formatType(typeOfValue(value));

function noField(value: Value, field: string): CelError {
  if (value instanceof List) return new CelError("no such overload");
  return new CelError(value === null ? `no such key: ${field}` : "no such overload");
}

function isSet(value: Value, field: string): boolean {
  if (value instanceof Optional) return value.value !== undefined && isSet(value.value, field);
  if (!(value instanceof CelMap)) throw noField(value, field);
  return value.get(field) !== undefined;
}

export function optionalGet(value: Value, key: Value): Optional {
  const inside = value instanceof Optional ? value.value : value;
  if (inside === undefined) return Optional.none;
  if (inside instanceof CelMap) {
    const found = inside.get(key);
    return found === undefined ? Optional.none : new Optional(found);
  }
  if (inside instanceof List && typeof key === "bigint") {
    const fits = key >= 0n && key < BigInt(inside.size);
    return fits ? new Optional(inside.at(Number(key))) : Optional.none;
  }
  throw new CelError("no such overload");
}

/** Either side may decide alone, so an error on the other does not count. */
function logical(left: Code, right: Code, decisive: boolean): Code {
  return (frame) => {
    let error: CelError | undefined;
    try {
      const value = left(frame);
      if (value === decisive) return decisive;
      if (typeof value !== "boolean") error = new CelError("no such overload");
    } catch (caught) {
      if (!(caught instanceof CelError)) throw caught;
      error = caught;
    }
    const value = right(frame);
    if (value === decisive) return decisive;
    if (error !== undefined) throw error;
    if (typeof value !== "boolean") throw new CelError("no such overload");
    return value;
  };
}

function conditional(condition: Code, yes: Code, no: Code): Code {
  return (frame) => {
    const value = condition(frame);
    if (typeof value !== "boolean") throw new CelError("no such overload");
    return value ? yes(frame) : no(frame);
  };
}

/** Letters and bytes of the arguments. */
function lettersOf(values: readonly Value[]): number {
  let sum = 0;
  for (const value of values) {
    if (typeof value === "string" || value instanceof Uint8Array) sum += value.length;
  }
  return sum;
}

function run(overload: Overload, values: Value[], frame: Frame, place: number): Value {
  const { cost } = overload;
  if (cost === undefined) {
    // It may look at every letter all the same.
    frame.work(Math.floor(lettersOf(values) / limits.celLettersPerStep));
    frame.spend(1);
  } else frame.spend(cost(values.map(sizeOf), values, undefined));
  frame.enter(place);
  return overload.call(values, frame);
}

const isText = ({ kind }: Type): boolean => kind === "string" || kind === "bytes";

/** A call that costs one step and takes no more. */
const isShort = ({ cost, params }: Overload, args: readonly Code[]): boolean =>
  cost === undefined && args.length === 2 && !params.some(isText);

const shortCall =
  (overload: Overload, left: Code, right: Code): Code =>
  (frame) => {
    const values = [left(frame), right(frame)];
    frame.spend(1);
    return overload.call(values, frame);
  };

/** What took long is kept for another turn. */
const keeping =
  (place: number, code: Code): Code =>
  (frame) => {
    const before = frame.cost + frame.steps;
    const kept = frame.result(place);
    if (kept !== undefined) return kept;
    const value = code(frame);
    frame.keepResult(place, value, before);
    return value;
  };

const directCall = (overload: Overload, args: readonly Code[], place: number): Code =>
  keeping(place, (frame) =>
    run(
      overload,
      args.map((arg) => arg(frame)),
      frame,
      place,
    ),
  );

const dispatchedCall = (
  overloads: readonly Overload[],
  args: readonly Code[],
  place: number,
): Code =>
  keeping(place, (frame) => {
    const values = args.map((arg) => arg(frame));
    const overload = overloads.find(({ params }) =>
      params.every((wanted, index) => accepts(wanted, values[index] ?? null)),
    );
    if (overload === undefined) throw new CelError("no such overload");
    return run(overload, values, frame, place);
  });
