/**
 * CEL as Kubernetes has it (https://kubernetes.io/docs/reference/using-api/cel/): compiled once
 * against typed variables, evaluated within a bound. An engine of our own: the evaluator that was
 * tried first had no bound, backtracking patterns, no `has(a[0].b)`, no two-variable macros and
 * other messages than clients look for.
 */
import { Checker, type Environment } from "#api/cel/engine/checker.ts";
import { Compiler } from "#api/cel/engine/compiler.ts";
import { Estimator } from "#api/cel/engine/estimate.ts";
import { type Bounds, type Code, Frame, type Variables } from "#api/cel/engine/frame.ts";
import { parse } from "#api/cel/engine/parser.ts";
import { CelError, CompileError, CostError, Paused } from "#api/cel/engine/problems.ts";
import type { Type } from "#api/cel/engine/types.ts";
import { forgetKeys, type Value } from "#api/cel/engine/values.ts";
import { functions, types } from "#api/cel/functions/all.ts";
import { literalProblems } from "#api/cel/functions/literals.ts";

/** What came of an evaluation: a value, or why there is none. */
export type Outcome =
  | { readonly value: Value; readonly error?: never; readonly cost: number }
  | { readonly value?: never; readonly error: CelError | CostError; readonly cost: number };

export interface Program {
  readonly type: Type;
  /** Variables that it reads. */
  readonly uses: ReadonlySet<string>;
  /** The most that it can cost, from the bounds in the schema; infinite where there are none. */
  readonly costMax: number;
  start(variables: Variables, bounds?: Bounds): Evaluation;
  /** All of it at once, however long it takes others. */
  run(variables: Variables, bounds?: Bounds): Outcome;
}

export interface Evaluation {
  /** Goes on for a turn. Undefined where there is more to do. @throws Undecided. */
  next(): Outcome | undefined;
}

/** @throws CompileError that shows every problem and its place. */
export function compileCel(source: string, variables: ReadonlyMap<string, Type>): Program {
  const environment: Environment = { variables, functions, types };
  const tree = parse(source);
  const checker = new Checker(environment);
  checker.check(tree);
  if (checker.problems.length === 0) checker.problems.push(...literalProblems(tree));
  if (checker.problems.length > 0) throw new CompileError(source, checker.problems);
  const typeOf = checker.typeOf.bind(checker);
  const code = new Compiler(typeOf).compile(tree);
  const estimator = new Estimator(typeOf);
  return {
    type: typeOf(tree),
    uses: checker.used,
    get costMax() {
      return estimator.cost(tree);
    },
    start: (variable, bounds) => evaluationOf(code, variable, bounds),
    run(variable, bounds) {
      const evaluation = evaluationOf(code, variable, bounds);
      for (;;) {
        const outcome = evaluation.next();
        if (outcome !== undefined) return outcome;
      }
    },
  };
}

function evaluationOf(code: Code, variable: Variables, bounds: Bounds = {}): Evaluation {
  const frame = new Frame(variable, bounds);
  return {
    next() {
      frame.beginTurn();
      forgetKeys();
      try {
        return { value: code(frame), cost: frame.cost };
      } catch (error) {
        if (error instanceof Paused) return undefined;
        if (error instanceof CelError || error instanceof CostError) {
          return { error, cost: frame.cost };
        }
        if (error instanceof RangeError) {
          // Values nested deeper than the stack.
          return { error: new CostError(), cost: Number.POSITIVE_INFINITY };
        }
        throw error;
      }
    },
  };
}
