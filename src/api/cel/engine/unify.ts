/** Whether types fit, with type parameters that stand for whatever fits first. */
import type { Type } from "#api/cel/engine/types.ts";
import { dyn, listOf, mapOf } from "#api/cel/engine/types.ts";

const NULLABLE = new Set(["object", "opaque", "timestamp", "duration"]);

export class Substitution {
  readonly #bound: Map<string, Type>;

  constructor(bound: Map<string, Type> = new Map()) {
    this.#bound = bound;
  }

  copy(): Substitution {
    return new Substitution(new Map(this.#bound));
  }

  /** Takes over what a copy found out. */
  adopt(other: Substitution): void {
    for (const [name, type] of other.#bound) this.#bound.set(name, type);
  }

  /** The type with everything filled in; with `open`, free parameters become `dyn`. */
  apply(type: Type, open: "keep" | "dyn" = "keep"): Type {
    if (type.kind === "param") {
      const bound = this.#bound.get(type.name);
      if (bound !== undefined) return this.apply(bound, open);
      return open === "dyn" ? dyn : type;
    }
    if (type.of.length === 0) return type;
    const of = type.of.map((each) => this.apply(each, open));
    return of.every((each, index) => each === type.of[index]) ? type : { ...type, of };
  }

  #occurs(name: string, within: Type): boolean {
    if (within.kind === "param") {
      if (within.name === name) return true;
      const bound = this.#bound.get(within.name);
      return bound !== undefined && this.#occurs(name, bound);
    }
    return within.of.some((each) => this.#occurs(name, each));
  }

  /** Binds, or widens what was bound. */
  #bind(parameter: Type, type: Type): boolean {
    if (type.kind === "param" && type.name === parameter.name) return true;
    const bound = this.#bound.get(parameter.name);
    if (bound !== undefined) {
      if (!this.assignable(type, bound)) return false;
      const general = moreGeneral(type, bound);
      if (!this.#occurs(parameter.name, general)) this.#bound.set(parameter.name, general);
      return true;
    }
    if (this.#occurs(parameter.name, type)) return false;
    this.#bound.set(parameter.name, type);
    return true;
  }

  /**
   * Whether a value of type `from` will do where `to` is wanted. Notes what parameters stand for.
   */
  assignable(from: Type, to: Type): boolean {
    if (to.kind === "param") {
      if (this.#bind(to, from)) return true;
      if (this.#bound.has(to.name)) return false;
    }
    if (from.kind === "param") return this.#bind(from, to);
    if (from.kind === "dyn" || to.kind === "dyn") return true;
    if (from.kind === "null") return to.kind === "null" || NULLABLE.has(to.kind);
    if (to.kind === "null") return NULLABLE.has(from.kind);
    if (from.kind !== to.kind) return false;
    if (from.kind === "type") return true;
    if (from.name !== to.name || from.of.length !== to.of.length) return false;
    return from.of.every((each, index) => this.assignable(each, to.of[index] ?? dyn));
  }
}

function lessSpecific(a: Type, b: Type): boolean {
  if (a.kind === "dyn" || a.kind === "param") return true;
  if (b.kind === "dyn" || b.kind === "param") return false;
  if (a.kind !== b.kind || a.name !== b.name || a.of.length !== b.of.length) return false;
  return a.of.every((each, index) => lessSpecific(each, b.of[index] ?? dyn));
}

/** Of two types that fit each other; bounds on sizes are kept only where both have them. */
function moreGeneral(a: Type, b: Type): Type {
  const general = lessSpecific(a, b) ? a : b;
  return widen(general, a, b);
}

/** Largest of what either may be. */
function widen(general: Type, a: Type, b: Type): Type {
  if (a === b) return a;
  const max = a.max === undefined || b.max === undefined ? undefined : Math.max(a.max, b.max);
  const [first, second] = general.of;
  if (general.kind === "list" && first !== undefined) return listOf(first, max);
  if (general.kind === "map" && first !== undefined && second !== undefined) {
    return mapOf(first, second, max);
  }
  if (general.max === undefined && max === undefined) return general;
  const { max: _max, ...rest } = general;
  return max === undefined ? rest : { ...rest, max };
}

export const sameType = (a: Type, b: Type): boolean =>
  a.kind === b.kind &&
  a.name === b.name &&
  a.of.length === b.of.length &&
  a.of.every((each, index) => sameType(each, b.of[index] ?? dyn));

/** The type of both, for branches and items: their own where they agree, else undefined. */
export function joinTypes(a: Type, b: Type): Type | undefined {
  const substitution = new Substitution();
  if (!substitution.assignable(a, b) && !substitution.assignable(b, a)) return undefined;
  return moreGeneral(a, b);
}
