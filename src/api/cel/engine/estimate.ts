/**
 * The most that an expression can cost, from the bounds in its schema, as upstream estimates it
 * (cel-go checker/cost.go). Pure.
 */
import type { Call, Fold, Node } from "#api/cel/engine/ast.ts";
import { LIST_COST, MAP_COST } from "#api/cel/engine/compiler.ts";
import { FOLD_COSTS } from "#api/cel/engine/folds.ts";
import { times } from "#api/cel/engine/overload.ts";
import { sizeOfType, type Type } from "#api/cel/engine/types.ts";

export class Estimator {
  readonly #typeOf: (node: Node) => Type;

  constructor(typeOf: (node: Node) => Type) {
    this.#typeOf = typeOf;
  }

  /** Most letters, items or entries that the node's value has. */
  size(node: Node): number {
    if (node.op === "list") return node.items.length;
    if (node.op === "map") return node.entries.length;
    if (node.op === "bind" && node.optional === "none") return this.size(node.body);
    if (node.op === "call") {
      const size = this.#callSize(node);
      if (size !== undefined) return size;
    }
    return sizeOfType(this.#typeOf(node));
  }

  #callSize(node: Call): number | undefined {
    if (node.name === "_?_:_") {
      return Math.max(...node.args.slice(1).map((arg) => this.size(arg)));
    }
    const sizes = this.#arguments(node).map((arg) => this.size(arg));
    const results = (node.overloads ?? []).map((overload) => overload.resultSize?.(sizes));
    if (results.length === 0 || results.some((size) => size === undefined)) return undefined;
    return Math.max(...results.map((size) => size ?? Number.POSITIVE_INFINITY));
  }

  #arguments(node: Call): readonly Node[] {
    return node.target === undefined ? node.args : [node.target, ...node.args];
  }

  cost(node: Node): number {
    switch (node.op) {
      case "literal":
        return 0;
      case "ident":
        return node.constant === undefined ? 1 : 0;
      case "select":
        if (node.constant !== undefined) return 0;
        return this.cost(node.operand) + (node.test ? 0 : 1);
      case "call":
        return this.#call(node);
      case "list":
        return node.items.reduce((sum, { value }) => sum + this.cost(value), LIST_COST);
      case "map":
        return node.entries.reduce(
          (sum, { key, value }) => sum + this.cost(key) + this.cost(value),
          MAP_COST,
        );
      case "fold":
        return this.#fold(node);
      case "bind":
        return this.cost(node.value) + this.cost(node.body);
    }
  }

  #call(node: Call): number {
    const args = this.#arguments(node);
    const costs = args.map((arg) => this.cost(arg));
    const [first = 0, second = 0, third = 0] = costs;
    if (node.name === "_&&_" || node.name === "_||_") return first + second;
    if (node.name === "_?_:_") return first + Math.max(second, third);
    const sizes = args.map((arg) => this.size(arg));
    const types = args.map((arg) => this.#typeOf(arg));
    const own = (node.overloads ?? []).map(({ cost }) =>
      cost === undefined ? 1 : cost(sizes, undefined, types),
    );
    return costs.reduce((sum, cost) => sum + cost, Math.max(0, ...own));
  }

  #fold(node: Fold): number {
    const { start, round, hit, end } = FOLD_COSTS[node.kind];
    const predicate = node.predicate === undefined ? 0 : this.cost(node.predicate);
    const transform = node.transform === undefined ? 0 : this.cost(node.transform);
    const each = round + predicate + hit + transform;
    return this.cost(node.range) + start + times(this.size(node.range), each) + end;
  }
}
