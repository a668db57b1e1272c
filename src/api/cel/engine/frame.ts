/**
 * One evaluation: variables, what it has cost, and how far it may go. It runs in turns: at the end
 * of one it is thrown out of the expression with `Paused`, and next time begun again from the top.
 * What took long was kept meanwhile: results of calls, and how far each loop came.
 */
import type { Context } from "#api/cel/engine/overload.ts";
import { CostError, Paused } from "#api/cel/engine/problems.ts";
import type { Value } from "#api/cel/engine/values.ts";
import { limits } from "#base/limits.ts";

export type Variables = (name: string) => Value | undefined;

/** What was spent when something was kept: an evaluation that goes on from it has spent as much. */
export interface Kept {
  cost: number;
  steps: number;
  /** Of what is done; a loop or a call under way has none. */
  readonly value?: Value;
  /** How far a call under way came. */
  readonly next?: number;
}

export interface Bounds {
  /** Default: upstream's. */
  readonly costMax?: number;
  /** Steps of work beyond the cost. */
  readonly stepsMax?: number;
  /** Cost and steps after which others have their turn. */
  readonly stepsPerTurn?: number;
}

export class Frame implements Context {
  /** Variables of macros, by the place that the compiler gave them. */
  readonly locals: Value[] = [];
  readonly variable: Variables;
  cost = 0;
  steps = 0;
  readonly #costMax: number;
  readonly #stepsMax: number;
  readonly #stepsPerTurn: number;
  readonly #kept: Array<Kept | undefined> = [];
  /** Cost and steps at which others get their turn. */
  #turnEnd = 0;
  /** Of the call that runs: its place, and the steps when it went on. */
  #call = -1;
  #callSteps = 0;

  constructor(variable: Variables, { costMax, stepsMax, stepsPerTurn }: Bounds) {
    this.variable = variable;
    this.#costMax = costMax ?? limits.celRunCostMax;
    this.#stepsMax = stepsMax ?? limits.celStepsMax;
    this.#stepsPerTurn = stepsPerTurn ?? limits.celStepsPerTurn;
  }

  /** Before the expression is evaluated, or evaluated on. */
  beginTurn(): void {
    this.cost = 0;
    this.steps = 0;
    this.#turnEnd = this.#stepsPerTurn;
  }

  /** @throws CostError past the limit. */
  spend(cost: number): void {
    this.cost += cost;
    if (this.cost > this.#costMax) throw new CostError();
  }

  /** Cost does not count what is inside of values that are compared: this does. */
  work(steps: number): void {
    this.steps += steps;
    if (this.steps > this.#stepsMax) throw new CostError();
  }

  /**
   * Only where something was kept in this turn, or the same would be done over and over.
   * @throws Paused where it is the turn of others.
   */
  rest(): void {
    if (this.cost + this.steps >= this.#turnEnd) throw new Paused();
  }

  /** What was kept at a place of the expression; all that it has cost is counted again. */
  recall(place: number): Kept | undefined {
    const kept = this.#kept[place];
    if (kept === undefined) return undefined;
    this.#turnEnd += kept.cost + kept.steps - this.cost - this.steps;
    this.cost = kept.cost;
    this.steps = kept.steps;
    return kept;
  }

  /** What was kept of what is done. */
  result(place: number): Value | undefined {
    if (this.#kept[place]?.value === undefined) return undefined;
    return this.recall(place)?.value;
  }

  /** Before a function is called. */
  enter(place: number): void {
    this.#call = place;
  }

  resume(): number {
    const next = this.recall(this.#call)?.next ?? 0;
    this.#callSteps = this.steps;
    return next;
  }

  /** Its cost was paid before: what counts is its work. */
  pause(next: number): void {
    if (this.steps - this.#callSteps < this.#stepsPerTurn) return;
    this.#kept[this.#call] = { cost: this.cost, steps: this.steps, next };
    throw new Paused();
  }

  keep(place: number, kept: Kept): void {
    this.#kept[place] = kept;
  }

  /** Keeps a result, where it took long. @throws Paused after one that did. */
  keepResult(place: number, value: Value, spentBefore: number): void {
    const { cost, steps } = this;
    if (cost + steps - spentBefore < this.#stepsPerTurn * limits.celKeptShare) return;
    this.#kept[place] = { cost, steps, value };
    this.rest();
  }

  /** A round of a loop is over: what was kept within it is of no more use. */
  forget(from: number, to: number): void {
    if (this.#kept.length <= from) return;
    for (let place = from; place < to; place++) {
      if (this.#kept[place] !== undefined) this.#kept[place] = undefined;
    }
  }
}

/**
 * A part of an expression, ready to run. @throws CelError, CostError, Suspended.
 */
export type Code = (frame: Frame) => Value;
