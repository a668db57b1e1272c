/**
 * Evaluates expressions about a request, within a budget. Questions to the authorizer take time: an
 * expression that asks one goes on once the answer is there.
 */

import { requestOf } from "#api/admission/request.ts";
import type { Attributes } from "#api/admission.ts";
import type { Authorizer } from "#api/auth/authorize.ts";
import { BoundedMap } from "#api/auth/cache.ts";
import { compileCel, type Evaluation, type Outcome, type Program } from "#api/cel/compile.ts";
import { CelError, type CompileError, CostError, Paused } from "#api/cel/engine/problems.ts";
import { fromJson, LazyObject, type Value } from "#api/cel/engine/values.ts";
import { authorizerOf, type Decisions, Undecided } from "#api/cel/functions/authorizer.ts";
import { namespaceShape, requestShape, type Sight, variablesOf } from "#api/policy/environment.ts";
import { limits } from "#base/limits.ts";
import { nextTurn } from "#base/turn.ts";
import type { ApiObject } from "#resources/meta.ts";

const programs = new BoundedMap<string, Program>(limits.celProgramsMax);

const keyOf = (source: string, sight: Sight): string => {
  const { params, namespaceObject, authorizer, variables } = sight;
  const names = variables === undefined ? "-" : [...variables].map(([n, t]) => `${n}:${t.name}`);
  return `${params}|${namespaceObject}|${authorizer}|${names}|${source}`;
};

/** Compiled once for each text, where the objects are of any type. @throws CompileError. */
export function programOf(source: string, sight: Sight): Program {
  if (sight.object !== undefined || sight.paramsType !== undefined) {
    return compileCel(source, variablesOf(sight));
  }
  const key = keyOf(source, sight);
  let program = programs.get(key);
  if (program === undefined) {
    program = compileCel(source, variablesOf(sight));
    programs.set(key, program);
  }
  return program;
}

/** The values of one request; params and variables differ from policy to policy. */
export interface Input {
  readonly variable: (name: string) => Value | undefined;
  readonly decisions: Decisions;
}

/** What a request puts before the expressions. */
export interface Subject {
  readonly attributes: Attributes;
  /** In the version that the rules speak of. */
  readonly object: ApiObject | undefined;
  readonly old: ApiObject | undefined;
  readonly namespaceObject: ApiObject | undefined;
}

function authorizerValue(attributes: Attributes, decisions: Decisions): Value {
  const { user, resource, subresource, namespace, name } = attributes;
  const { group, version, plural } = resource.kind;
  const about = {
    group,
    version,
    plural,
    ...(subresource !== "" && { subresource }),
    ...(namespace !== undefined && { namespace }),
    ...(name !== "" && { name }),
  };
  return authorizerOf(user, decisions, about);
}

export function inputOf(subject: Subject): Input {
  const { attributes, object, old, namespaceObject } = subject;
  const decisions: Decisions = new Map();
  const known = new Map<string, Value>();
  const make = (name: string): Value | undefined => {
    switch (name) {
      case "object":
        return object === undefined ? null : fromJson(object);
      case "oldObject":
        return old === undefined ? null : fromJson(old);
      case "request":
        return requestShape?.convert(requestOf(attributes)) ?? null;
      case "namespaceObject":
        return namespaceShape?.convert(namespaceObject ?? null) ?? null;
      case "authorizer":
        return authorizerValue(attributes, decisions);
      default:
        return undefined;
    }
  };
  return {
    decisions,
    variable: (name) => {
      const found = known.get(name) ?? make(name);
      if (found !== undefined) known.set(name, found);
      return found;
    },
  };
}

/** Adds what one binding brings: its params, and the policy's variables. */
export function extend(input: Input, name: string, value: Value): Input {
  return { ...input, variable: (each) => (each === name ? value : input.variable(each)) };
}

/** Steps that are left, shared by all expressions of one policy's binding. */
export class Budget {
  left: number;
  /** Steps since others had their turn. */
  #run = 0;

  constructor(left: number) {
    this.left = left;
  }

  /** Others get their turn after some work. */
  async rest(cost: number): Promise<void> {
    this.#run += cost;
    if (this.#run < limits.celStepsPerTurn) return;
    this.#run = 0;
    await nextTurn();
  }
}

const OUT_OF_BUDGET =
  "validation failed due to running out of cost budget, no further validation rules will be run";

/** An expression's value, or why there is none. */
export async function evaluate(
  program: Program,
  input: Input,
  budget: Budget,
  authorizer: Authorizer,
): Promise<Outcome> {
  const costMax = Math.min(budget.left, limits.celRunCostMax);
  const evaluation = program.start(input.variable, { costMax });
  for (;;) {
    try {
      const outcome = evaluation.next();
      if (outcome === undefined) {
        await nextTurn();
        continue;
      }
      budget.left -= Number.isFinite(outcome.cost) ? outcome.cost : budget.left;
      await budget.rest(outcome.cost);
      if (budget.left > 0 || !(outcome.error instanceof CostError)) return outcome;
      return { error: new CelError(OUT_OF_BUDGET), cost: outcome.cost };
    } catch (error) {
      if (!(error instanceof Undecided)) throw error;
      input.decisions.set(error.key, await authorizer.decide(error.access));
    }
  }
}

/** Variables of a policy, worked out when an expression first asks for one, and charged to it. */
export function lazyVariables(
  variables: ReadonlyArray<{ readonly name: string; readonly program: Program }>,
  input: Input,
): Input {
  const made = new Map<string, Outcome>();
  const begun = new Map<string, Evaluation>();
  const byName = new Map(variables.map(({ name, program }) => [name, program]));
  const all: Input = extend(
    input,
    "variables",
    new LazyObject([...byName.keys()], (name) => {
      const program = byName.get(name);
      if (program === undefined) return undefined;
      const evaluation = begun.get(name) ?? program.start(all.variable);
      begun.set(name, evaluation);
      const outcome = made.get(name) ?? evaluation.next();
      if (outcome === undefined) throw new Paused();
      made.set(name, outcome);
      if (outcome.error !== undefined) {
        throw new CelError(
          `composited variable "${name}" fails to evaluate: ${outcome.error.message}`,
        );
      }
      return outcome.value;
    }),
  );
  return all;
}

export interface Condition {
  readonly name: string;
  readonly expression: string;
}

/**
 * Whether all conditions hold. One that is false decides, though others fail.
 * @throws Error where one cannot be evaluated and none is false.
 */
export async function conditionsMatch(
  conditions: readonly Condition[],
  sight: Sight,
  input: Input,
  authorizer: Authorizer,
): Promise<boolean> {
  const budget = new Budget(limits.celMatchBudgetMax);
  let failed: Error | undefined;
  for (const { name, expression } of conditions) {
    const { value, error } = await evaluate(
      programOf(expression, sight),
      input,
      budget,
      authorizer,
    );
    if (error !== undefined)
      failed ??= new Error(`expression '${name}' resulted in error: ${error.message}`);
    else if (value !== true) return false;
  }
  if (failed !== undefined) throw failed;
  return true;
}

/** Upstream's words for an expression that cannot be compiled. */
export const compileText = (error: CompileError): string => `compilation failed: ${error.message}`;
