/** Values that may be missing. https://pkg.go.dev/github.com/google/cel-go/cel#OptionalTypes */
import { fn, method, type Overload } from "#api/cel/engine/overload.ts";
import { CelError } from "#api/cel/engine/problems.ts";
import { bool, listOf, optionalOf, param } from "#api/cel/engine/types.ts";
import { sizeOf } from "#api/cel/engine/typing.ts";
import { List, Optional, Uint, type Value } from "#api/cel/engine/values.ts";
import { instance, list } from "#api/cel/functions/arguments.ts";

const A = param("A");
const maybe = optionalOf(A);

const optional = (value: Value | undefined): Optional => instance(value, Optional);

/** Null, false, 0, and what is empty. */
function isZero(value: Value): boolean {
  if (value === null || value === false || value === 0 || value === 0n || value === "") return true;
  if (value instanceof Uint) return value.value === 0n;
  if (value instanceof Optional) return value.value === undefined;
  return typeof value === "object" && sizeOf(value) === 0;
}

export const optionals: readonly Overload[] = [
  fn("optional.of", [A], maybe, ([a]) => new Optional(a)),
  fn("optional.none", [], maybe, () => Optional.none),
  fn("optional.ofNonZeroValue", [A], maybe, ([a = null]) =>
    isZero(a) ? Optional.none : new Optional(a),
  ),
  method("hasValue", [maybe], bool, ([a]) => optional(a).value !== undefined),
  method("value", [maybe], A, ([a]) => {
    const { value } = optional(a);
    if (value === undefined) throw new CelError("optional.none() dereference");
    return value;
  }),
  method("or", [maybe, maybe], maybe, ([a, b]) =>
    optional(a).value === undefined ? optional(b) : optional(a),
  ),
  method("orValue", [maybe, A], A, ([a, b = null]) => optional(a).value ?? b),
  fn("optional.unwrap", [listOf(maybe)], listOf(A), ([a]) => unwrap(list(a))),
  method("unwrapOpt", [listOf(maybe)], listOf(A), ([a]) => unwrap(list(a))),
];

function unwrap(items: List): List {
  const out: Value[] = [];
  for (const item of items) {
    if (item instanceof Optional && item.value !== undefined) out.push(item.value);
  }
  return new List(out);
}
