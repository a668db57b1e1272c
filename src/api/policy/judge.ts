/** One policy's judgement of one request under one binding. */
import type { Authorizer } from "#api/auth/authorize.ts";
import type { Program } from "#api/cel/compile.ts";
import type { Type } from "#api/cel/engine/types.ts";
import { fromJson } from "#api/cel/engine/values.ts";
import { type Sight, webhookSight } from "#api/policy/environment.ts";
import {
  Budget,
  conditionsMatch,
  evaluate,
  extend,
  type Input,
  lazyVariables,
  programOf,
} from "#api/policy/evaluate.ts";
import { messageOf } from "#base/errors.ts";
import { limits } from "#base/limits.ts";
import type { ApiObject } from "#resources/meta.ts";
import type { ValidatingAdmissionPolicySpec, Validation } from "#resources/types.gen.ts";

/** Why a request is not liked. */
export interface Breach {
  readonly message: string;
  /** Reason of the answer. */
  readonly reason: string;
  /** Of the validation, in the policy's order; undefined where it never came to one. */
  readonly expression?: string;
}

export interface Judgement {
  readonly breaches: readonly Breach[];
  /** Key and value of audit annotations. */
  readonly annotations: ReadonlyArray<readonly [string, string]>;
}

const NOTHING: Judgement = { breaches: [], annotations: [] };

/**
 * What the expressions of a policy see, with the types of its variables as far as they are known.
 */
export function sightOf(spec: ValidatingAdmissionPolicySpec, types: Partial<Sight> = {}): Sight {
  const base: Sight = {
    ...webhookSight,
    params: spec.paramKind !== undefined,
    namespaceObject: true,
    ...types,
  };
  const variables = new Map<string, Type>();
  // Each variable sees those before it.
  for (const { name, expression } of spec.variables ?? []) {
    variables.set(name, programOf(expression, { ...base, variables: new Map(variables) }).type);
  }
  return { ...base, variables };
}

interface Compiled {
  readonly sight: Sight;
  readonly variables: ReadonlyArray<{ readonly name: string; readonly program: Program }>;
}

const compiled = new WeakMap<ValidatingAdmissionPolicySpec, Compiled>();

/** @throws CompileError where a variable is no expression. */
function compile(spec: ValidatingAdmissionPolicySpec): Compiled {
  let found = compiled.get(spec);
  if (found === undefined) {
    const sight = sightOf(spec);
    const variables = (spec.variables ?? []).map(({ name, expression }, index) => {
      const before = [...(sight.variables ?? [])].slice(0, index);
      return { name, program: programOf(expression, { ...sight, variables: new Map(before) }) };
    });
    found = { sight, variables };
    compiled.set(spec, found);
  }
  return found;
}

export class Judge {
  readonly #spec: ValidatingAdmissionPolicySpec;
  readonly #authorizer: Authorizer;

  constructor(spec: ValidatingAdmissionPolicySpec, authorizer: Authorizer) {
    this.#spec = spec;
    this.#authorizer = authorizer;
  }

  get #ignores(): boolean {
    return this.#spec.failurePolicy === "Ignore";
  }

  /** What could not even be asked. */
  failure(message: string): Judgement {
    if (this.#ignores) return NOTHING;
    return { breaches: [{ message, reason: "Invalid" }], annotations: [] };
  }

  async judge(subject: Input, params: ApiObject | undefined): Promise<Judgement> {
    const spec = this.#spec;
    let sight: Sight;
    let input: Input;
    try {
      const known = compile(spec);
      sight = known.sight;
      const given = extend(subject, "params", params === undefined ? null : fromJson(params));
      input = lazyVariables(known.variables, given);
      // Conditions come before variables: they see none.
      const bare = { ...sight, variables: undefined };
      const { matchConditions = [] } = spec;
      if (!(await conditionsMatch(matchConditions, bare, given, this.#authorizer))) return NOTHING;
    } catch (error) {
      return this.failure(messageOf(error));
    }
    const budget = new Budget(limits.celBudgetMax);
    const breaches: Breach[] = [];
    for (const validation of spec.validations ?? []) {
      const breach = await this.#validate(validation, sight, input, budget);
      if (breach !== undefined) breaches.push(breach);
    }
    return { breaches, ...(await this.#annotate(sight, input, budget, breaches)) };
  }

  async #validate(
    validation: Validation,
    sight: Sight,
    input: Input,
    budget: Budget,
  ): Promise<Breach | undefined> {
    const expression = validation.expression.trim();
    const failed = (why: string): Breach | undefined =>
      this.#ignores
        ? undefined
        : { message: `expression '${expression}' resulted in error: ${why}`, reason: "Invalid" };
    let program: Program;
    try {
      program = programOf(validation.expression, sight);
    } catch (error) {
      return failed(`compilation error: ${messageOf(error)}`);
    }
    const { value, error } = await evaluate(program, input, budget, this.#authorizer);
    if (error !== undefined) return failed(error.message);
    if (value === true) return undefined;
    return {
      message: await this.#message(validation, sight, input, budget),
      reason: validation.reason ?? "Invalid",
      expression,
    };
  }

  async #message(
    { message, messageExpression, expression }: Validation,
    sight: Sight,
    input: Input,
    budget: Budget,
  ): Promise<string> {
    const plain = (message ?? "").trim() || `failed expression: ${expression.trim()}`;
    if (!messageExpression) return plain;
    try {
      const program = programOf(messageExpression, sight);
      const { value } = await evaluate(program, input, budget, this.#authorizer);
      if (typeof value !== "string") return plain;
      const text = value.trim();
      const bad = text === "" || /[\r\n]/.test(text) || text.length > limits.celMessageCharsMax;
      return bad ? plain : text;
    } catch {
      // A message that cannot be made leaves the plain one.
      return plain;
    }
  }

  async #annotate(
    sight: Sight,
    input: Input,
    budget: Budget,
    breaches: Breach[],
  ): Promise<Pick<Judgement, "annotations">> {
    const annotations: Array<[string, string]> = [];
    for (const { key, valueExpression } of this.#spec.auditAnnotations ?? []) {
      try {
        const program = programOf(valueExpression, sight);
        const { value, error } = await evaluate(program, input, budget, this.#authorizer);
        if (error !== undefined) throw error;
        if (value === null) continue;
        if (typeof value !== "string") throw new Error("must evaluate to a string or null");
        annotations.push([key, value.trim()]);
      } catch (error) {
        if (this.#ignores) continue;
        const expression = valueExpression.trim();
        const message = `expression '${expression}' resulted in error: ${messageOf(error)}`;
        breaches.push({ message, reason: "Invalid" });
      }
    }
    return { annotations };
  }
}
