/** Types of a tree: what names stand for, which functions are meant, what does not fit. */
import type {
  Bind,
  Call,
  Fold,
  Ident,
  ListLiteral,
  MapLiteral,
  Node,
  Select,
} from "#api/cel/engine/ast.ts";
import type { Overload } from "#api/cel/engine/overload.ts";
import type { Problem } from "#api/cel/engine/problems.ts";
import {
  bool,
  bytes,
  double,
  duration,
  dyn,
  formatType,
  int,
  isOptional,
  listOf,
  mapOf,
  nullType,
  optionalOf,
  param,
  string,
  type Type,
  timestamp,
  typeOf,
  uint,
} from "#api/cel/engine/types.ts";
import { joinTypes, Substitution, sameType } from "#api/cel/engine/unify.ts";
import { TypeValue, Uint, type Value } from "#api/cel/engine/values.ts";

export interface Environment {
  readonly variables: ReadonlyMap<string, Type>;
  readonly functions: ReadonlyMap<string, readonly Overload[]>;
  /** Names of types: `int`, `net.IP`. */
  readonly types: ReadonlyMap<string, Type>;
}

function literalType(value: Value): Type {
  if (value === null) return nullType;
  if (typeof value === "boolean") return bool;
  if (typeof value === "bigint") return int;
  if (typeof value === "number") return double;
  if (typeof value === "string") return { ...string, max: value.length };
  if (value instanceof Uint) return uint;
  return bytes;
}

/** `a.b.c` where it is nothing but names. */
function qualifiedName(node: Node): string | undefined {
  if (node.op === "ident") return node.name;
  if (node.op !== "select" || node.test || node.optional) return undefined;
  const front = qualifiedName(node.operand);
  return front === undefined ? undefined : `${front}.${node.field}`;
}

const rootName = (name: string): string => name.split(".", 1)[0] ?? name;

/** `(int, string)`, and `string.(int)` for what has a receiver. */
function signatureOf(types: readonly Type[], member: boolean): string {
  const shown = types.map(formatType);
  if (!member) return `(${shown.join(", ")})`;
  return `${shown[0]}.(${shown.slice(1).join(", ")})`;
}

export class Checker {
  readonly problems: Problem[] = [];
  /** What type parameters stand for. */
  readonly substitution = new Substitution();
  /** Variables that were used. */
  readonly used = new Set<string>();
  readonly #environment: Environment;
  readonly #scope: Array<{ name: string; type: Type }> = [];
  #fresh = 0;
  #mixed = false;

  constructor(environment: Environment) {
    this.#environment = environment;
  }

  /** The final type of a node. */
  typeOf(node: Node): Type {
    return this.substitution.apply(node.type ?? dyn, "dyn");
  }

  check(node: Node): Type {
    const type = this.#check(node);
    node.type = type;
    return type;
  }

  #check(node: Node): Type {
    switch (node.op) {
      case "literal":
        return literalType(node.value);
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
      case "fold":
        return this.#fold(node);
      case "bind":
        return this.#bind(node);
    }
  }

  #problem(at: number, message: string): Type {
    this.problems.push({ at, message });
    return dyn;
  }

  #freeParameter(): Type {
    this.#fresh += 1;
    return param(`_var${this.#fresh}`);
  }

  #isVariable(name: string): boolean {
    return this.#environment.variables.has(name) || this.#scope.some((each) => each.name === name);
  }

  #ident(node: Ident): Type {
    const { name, at } = node;
    const local = this.#scope.findLast((each) => each.name === name);
    if (local !== undefined) return local.type;
    const variable = this.#environment.variables.get(name);
    if (variable !== undefined) {
      this.used.add(name);
      return variable;
    }
    const type = this.#environment.types.get(name);
    if (type !== undefined) {
      node.constant = new TypeValue(type);
      return typeOf(type);
    }
    return this.#problem(at, `undeclared reference to '${name}' (in container '')`);
  }

  #select(node: Select): Type {
    const name = qualifiedName(node);
    if (name !== undefined && !this.#isVariable(rootName(name))) {
      const type = this.#environment.types.get(name);
      if (type !== undefined) {
        node.constant = new TypeValue(type);
        return typeOf(type);
      }
    }
    const operand = this.substitution.apply(this.check(node.operand));
    const inside = isOptional(operand) ? (operand.of[0] ?? dyn) : operand;
    const field = this.#fieldOf(node, this.substitution.apply(inside));
    if (node.test) return bool;
    return node.optional || isOptional(operand) ? optionalOf(field) : field;
  }

  #fieldOf(node: Select, operand: Type): Type {
    switch (operand.kind) {
      case "map":
        return operand.of[1] ?? dyn;
      case "dyn":
      case "param":
        return dyn;
      case "object": {
        if (operand.field === undefined) break;
        const field = operand.field(node.field);
        return field ?? this.#problem(node.at, `undefined field '${node.field}'`);
      }
    }
    return this.#problem(node.at, `type '${formatType(operand)}' does not support field selection`);
  }

  #call(node: Call): Type {
    if (node.target !== undefined) {
      const space = qualifiedName(node.target);
      const name = `${space}.${node.name}`;
      if (space !== undefined && !this.#isVariable(rootName(space))) {
        if (this.#environment.functions.has(name)) {
          node.name = name;
          node.target = undefined;
        }
      }
    }
    const all = this.#environment.functions.get(node.name) ?? [];
    const member = node.target !== undefined;
    const given = node.target === undefined ? node.args : [node.target, ...node.args];
    // What is put into a text may be of any types.
    const mixed = this.#mixed;
    this.#mixed = member && node.name === "format";
    const types = given.map((arg) => this.check(arg));
    this.#mixed = mixed;
    if (all.length === 0) {
      return this.#problem(node.at, `undeclared reference to '${node.name}' (in container '')`);
    }
    return this.#resolve(node, all, types, member);
  }

  #resolve(node: Call, all: readonly Overload[], types: readonly Type[], member: boolean): Type {
    const matching: Overload[] = [];
    let result: Type | undefined;
    for (const overload of all) {
      if (overload.member !== member || overload.params.length !== types.length) continue;
      const found = this.#match(overload, types);
      if (found === undefined) continue;
      matching.push(overload);
      result = result === undefined || sameType(result, found) ? (result ?? found) : dyn;
    }
    if (result === undefined) {
      const shown = types.map((type) => this.substitution.apply(type, "dyn"));
      return this.#problem(
        node.at,
        `found no matching overload for '${node.name}' applied to '${signatureOf(shown, member)}'`,
      );
    }
    node.overloads = matching;
    return result;
  }

  /** The result's type, where the arguments fit. */
  #match(overload: Overload, types: readonly Type[]): Type | undefined {
    const names = new Map<string, Type>();
    const instance = (type: Type): Type => {
      if (type.kind === "param") {
        const known = names.get(type.name) ?? this.#freeParameter();
        names.set(type.name, known);
        return known;
      }
      return type.of.length === 0 ? type : { ...type, of: type.of.map(instance) };
    };
    const attempt = this.substitution.copy();
    const fits = overload.params.every((wanted, index) =>
      attempt.assignable(types[index] ?? dyn, instance(wanted)),
    );
    if (!fits) return undefined;
    this.substitution.adopt(attempt);
    return this.substitution.apply(instance(overload.result));
  }

  /** The type of all; a problem where one is not like the others. */
  #common(nodes: ReadonlyArray<{ node: Node; optional: boolean }>): Type {
    let common: Type | undefined;
    for (const { node, optional } of nodes) {
      const own = this.substitution.apply(this.check(node));
      const type = optional && isOptional(own) ? (own.of[0] ?? dyn) : own;
      if (optional && !isOptional(own) && own.kind !== "dyn") {
        this.#problem(
          node.at,
          `expected type 'optional_type(${formatType(own)})' but found '${formatType(own)}'`,
        );
      }
      if (common === undefined) {
        common = type;
        continue;
      }
      const joined = joinTypes(common, type);
      if (joined === undefined) {
        const wanted = formatType(common);
        this.#problem(node.at, `expected type '${wanted}' but found '${formatType(type)}'`);
      } else common = joined;
    }
    return common ?? this.#freeParameter();
  }

  #list({ items }: ListLiteral): Type {
    if (this.#mixed) {
      this.#mixed = false;
      for (const { value } of items) this.check(value);
      return listOf(dyn, items.length);
    }
    const type = this.#common(items.map(({ value, optional }) => ({ node: value, optional })));
    return listOf(type, items.length);
  }

  #map({ entries }: MapLiteral): Type {
    const key = this.#common(entries.map((entry) => ({ node: entry.key, optional: false })));
    const value = this.#common(
      entries.map((entry) => ({ node: entry.value, optional: entry.optional })),
    );
    return mapOf(key, value, entries.length);
  }

  /** Types of the variables that walk a range: one, or index or key and value. */
  #rangeTypes(node: Fold, range: Type): readonly Type[] {
    const two = node.variables.length === 2;
    const [first = dyn, second = dyn] = range.of;
    switch (range.kind) {
      case "list":
        return two ? [int, first] : [first];
      case "map":
        return two ? [first, second] : [first];
      case "dyn":
      case "param":
        return two ? [dyn, dyn] : [dyn];
      default:
        this.#problem(
          node.range.at,
          `expression of type '${formatType(range)}' cannot be range of a comprehension ` +
            "(must be list, map, or dynamic)",
        );
        return two ? [dyn, dyn] : [dyn];
    }
  }

  #within<T>(names: readonly string[], types: readonly Type[], work: () => T): T {
    names.forEach((name, index) => {
      this.#scope.push({ name, type: types[index] ?? dyn });
    });
    try {
      return work();
    } finally {
      this.#scope.length -= names.length;
    }
  }

  #fold(node: Fold): Type {
    const range = this.substitution.apply(this.check(node.range));
    const types = this.#rangeTypes(node, range);
    return this.#within(node.variables, types, () => {
      if (node.predicate !== undefined) this.#mustBeBool(node.predicate);
      const made = node.transform === undefined ? dyn : this.check(node.transform);
      return this.#foldType(node, range, types, this.substitution.apply(made));
    });
  }

  #foldType(node: Fold, range: Type, types: readonly Type[], made: Type): Type {
    const [first = dyn] = types;
    switch (node.kind) {
      case "all":
      case "exists":
      case "existsOne":
        return bool;
      case "map":
      case "transformList":
        return listOf(made, range.max);
      case "filter":
      case "sortBy":
        return listOf(first, range.max);
      case "transformMap":
        return mapOf(first, made, range.max);
      case "transformMapEntry":
        if (made.kind === "map" || made.kind === "dyn") return made;
        return this.#problem(node.at, "transformMapEntry needs a map");
    }
  }

  #mustBeBool(node: Node): void {
    const type = this.substitution.apply(this.check(node));
    if (this.substitution.assignable(type, bool)) return;
    const signature = signatureOf([bool, type], false);
    this.#problem(node.at, `found no matching overload for '_&&_' applied to '${signature}'`);
  }

  #bind(node: Bind): Type {
    const value = this.substitution.apply(this.check(node.value));
    if (node.optional === "none") {
      return this.#within([node.name], [value], () => this.check(node.body));
    }
    if (!isOptional(value) && value.kind !== "dyn") {
      const signature = signatureOf([value, dyn, dyn], true);
      return this.#problem(
        node.at,
        `found no matching overload for 'optMap' applied to '${signature}'`,
      );
    }
    const inside = isOptional(value) ? (value.of[0] ?? dyn) : dyn;
    const body = this.#within([node.name], [inside], () => this.check(node.body));
    return node.optional === "map" ? optionalOf(body) : body;
  }
}

/** The names of types that every expression knows. */
export const baseTypes: ReadonlyMap<string, Type> = new Map<string, Type>([
  ["int", int],
  ["uint", uint],
  ["double", double],
  ["bool", bool],
  ["string", string],
  ["bytes", bytes],
  ["list", listOf(dyn)],
  ["map", mapOf(dyn, dyn)],
  ["null_type", nullType],
  ["type", typeOf(dyn)],
  ["optional_type", optionalOf(dyn)],
  ["google.protobuf.Timestamp", timestamp],
  ["google.protobuf.Duration", duration],
]);
