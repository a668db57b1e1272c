/** Functions: what they take, what they answer, what a call costs. */
import type { Type } from "#api/cel/engine/types.ts";
import type { Value } from "#api/cel/engine/values.ts";

/** What a function may use while an expression runs. */
export interface Context {
  /**
   * Steps of work beyond the cost, as for comparing deep values. @throws CostError past the limit.
   */
  work(steps: number): void;
  /** How far this call came in the turns before; 0 at first. */
  resume(): number;
  /** This call came so far, and others may have their turn. @throws Paused. */
  pause(next: number): void;
}

/**
 * The cost of a call from the sizes of its arguments: letters, items, entries; 1 for all else. When
 * it runs, the arguments are given too; when it is estimated, their types.
 */
export type Cost = (
  sizes: readonly number[],
  args: readonly Value[] | undefined,
  types: readonly Type[] | undefined,
) => number;

export interface Overload {
  readonly name: string;
  /** The first parameter is what stands before the dot. */
  readonly member: boolean;
  readonly params: readonly Type[];
  readonly result: Type;
  /** @throws CelError. */
  call(args: readonly Value[], context: Context): Value;
  /** Default: 1. */
  readonly cost?: Cost;
  /** Most letters, items or entries of the result. */
  readonly resultSize?: (sizes: readonly number[]) => number;
}

type Extra = Pick<Overload, "cost" | "resultSize">;

/** `f(a, b)`. */
export const fn = (
  name: string,
  params: readonly Type[],
  result: Type,
  call: Overload["call"],
  extra: Extra = {},
): Overload => ({ name, member: false, params, result, call, ...extra });

/** `a.f(b)`: the receiver is the first parameter. */
export const method = (
  name: string,
  params: readonly Type[],
  result: Type,
  call: Overload["call"],
  extra: Extra = {},
): Overload => ({ name, member: true, params, result, call, ...extra });

/** Walking a text costs a tenth of a step for each letter. */
export const LETTER_COST = 0.1;
/**
 * Matching costs a quarter of a step for each letter of the pattern and tenth of one of the text.
 */
export const PATTERN_LETTER_COST = 0.25;

/** Infinity times nothing is nothing. */
export const times = (count: number, cost: number): number =>
  count === 0 || cost === 0 ? 0 : count * cost;

/** The cost of walking the text of the first argument. */
export const walksText =
  (factor = 1): Cost =>
  ([size = 0]) =>
    Math.ceil(times(size, LETTER_COST * factor));
