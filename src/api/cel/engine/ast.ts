/** An expression as a tree. The checker notes types in it and settles what names mean. */

import type { Overload } from "#api/cel/engine/overload.ts";
import type { Type } from "#api/cel/engine/types.ts";
import type { Value } from "#api/cel/engine/values.ts";

interface Base {
  readonly at: number;
  /** Set by the checker. */
  type?: Type;
}

export interface Literal extends Base {
  readonly op: "literal";
  readonly value: Value;
}

export interface Ident extends Base {
  readonly op: "ident";
  readonly name: string;
  /** A name that stands for a constant: `int`, `net.IP`. */
  constant?: Value;
}

export interface Select extends Base {
  readonly op: "select";
  readonly operand: Node;
  readonly field: string;
  /** `has(a.b)`. */
  readonly test: boolean;
  /** `a.?b`. */
  readonly optional: boolean;
  constant?: Value;
}

export interface Call extends Base {
  readonly op: "call";
  /** With its name space once the checker knows it: `sets.contains`. */
  name: string;
  target: Node | undefined;
  readonly args: readonly Node[];
  /** What may be meant; one where the types say it. */
  overloads?: readonly Overload[];
}

export interface ListLiteral extends Base {
  readonly op: "list";
  readonly items: ReadonlyArray<{ readonly value: Node; readonly optional: boolean }>;
}

export interface MapLiteral extends Base {
  readonly op: "map";
  readonly entries: ReadonlyArray<{
    readonly key: Node;
    readonly value: Node;
    readonly optional: boolean;
  }>;
}

export type FoldKind =
  | "all"
  | "exists"
  | "existsOne"
  | "map"
  | "filter"
  | "transformList"
  | "transformMap"
  | "transformMapEntry"
  | "sortBy";

/** A macro that walks a list or map. */
export interface Fold extends Base {
  readonly op: "fold";
  readonly kind: FoldKind;
  readonly range: Node;
  /** One, or two: index or key, and value. */
  readonly variables: readonly string[];
  readonly predicate: Node | undefined;
  readonly transform: Node | undefined;
}

/** `cel.bind(name, value, body)`; with `optional`, `value.optMap(name, body)` and `optFlatMap`. */
export interface Bind extends Base {
  readonly op: "bind";
  readonly name: string;
  readonly value: Node;
  readonly body: Node;
  readonly optional: "none" | "map" | "flatMap";
}

export type Node = Literal | Ident | Select | Call | ListLiteral | MapLiteral | Fold | Bind;
