/** One evaluation under way: variables, what it has cost, and how far it may go. */
import type { Context } from "#api/cel/engine/overload.ts";
import { CostError } from "#api/cel/engine/problems.ts";
import type { Value } from "#api/cel/engine/values.ts";
import { limits } from "#base/limits.ts";

export type Variables = (name: string) => Value | undefined;

export class Frame implements Context {
  /** Variables of macros, by the place that the compiler gave them. */
  readonly locals: Value[] = [];
  readonly variable: Variables;
  cost = 0;
  readonly #costMax: number;
  #steps = 0;

  constructor(variable: Variables, costMax: number) {
    this.variable = variable;
    this.#costMax = costMax;
  }

  /** @throws CostError past the limit. */
  spend(cost: number): void {
    this.cost += cost;
    if (this.cost > this.#costMax) throw new CostError();
  }

  /** Cost does not count what is inside of values that are compared: this does. */
  work(steps: number): void {
    this.#steps += steps;
    if (this.#steps > limits.celStepsMax) throw new CostError();
  }
}

/** A part of an expression, ready to run. @throws CelError, CostError. */
export type Code = (frame: Frame) => Value;
