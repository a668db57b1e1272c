/**
 * Rules of custom resources in CEL (`x-kubernetes-validations`), compiled when they first run.
 * KEP-2876.
 */

import { compileCel, type Outcome, type Program } from "#api/cel/compile.ts";
import { CompileError, CostError } from "#api/cel/engine/problems.ts";
import { optionalOf, type Type } from "#api/cel/engine/types.ts";
import { Optional, type Value } from "#api/cel/engine/values.ts";
import { type CelSchema, type Declared, declareSchema } from "#api/cel/schema.ts";
import { isObject, sameJson } from "#api/json.ts";
import { limits } from "#base/limits.ts";
import { nextTurn } from "#base/turn.ts";
import { type Cause, duplicate, forbidden, invalid, required } from "#resources/field.ts";
import type { ValidationRule } from "#resources/types.gen.ts";

export interface CompiledRule {
  readonly rule: ValidationRule;
  readonly program: Program;
  readonly message: Program | undefined;
  readonly usesOld: boolean;
}

/** @throws CompileError; for the message too. */
export function compileOne(source: string, self: Type, rule: ValidationRule): Program {
  const old = rule.optionalOldSelf === true ? optionalOf(self) : self;
  return compileCel(
    source,
    new Map([
      ["self", self],
      ["oldSelf", old],
    ]),
  );
}

interface RuleNode {
  readonly schema: CelSchema;
  readonly declared: Declared;
  readonly rules: readonly CompiledRule[];
  readonly fields: ReadonlyMap<string, RuleNode>;
  readonly each: RuleNode | undefined;
  readonly alsos: readonly RuleNode[];
}

function compileRule(rule: ValidationRule, self: Type): CompiledRule[] {
  // What cannot be compiled was refused when the definition was written; older ones are left alone.
  try {
    const program = compileOne(rule.rule, self, rule);
    const { messageExpression } = rule;
    const message = messageExpression ? compileOne(messageExpression, self, rule) : undefined;
    return [{ rule, program, message, usesOld: program.uses.has("oldSelf") }];
  } catch (error) {
    if (error instanceof CompileError) return [];
    throw error;
  }
}

/** `shape` has the types, `schema` the rules: they differ within `allOf`. */
function compileNode(schema: CelSchema, declared: Declared | undefined): RuleNode | undefined {
  if (declared === undefined) return undefined;
  const given = schema["x-kubernetes-validations"] ?? [];
  const rules = given.flatMap((rule) => compileRule(rule, declared.type));
  const fields = new Map<string, RuleNode>();
  for (const [property, child] of Object.entries(schema.properties ?? {})) {
    const node = compileNode(child, declared.fields?.get(property));
    if (node !== undefined) fields.set(property, node);
  }
  const inner = schema.items ?? schema.additionalProperties;
  const each = isObject(inner) ? compileNode(inner as CelSchema, declared.each) : undefined;
  const alsos = (schema.allOf ?? []).flatMap((part) => compileNode(part, declared) ?? []);
  if (rules.length + fields.size + alsos.length === 0 && each === undefined) return undefined;
  return { schema, declared, rules, fields, each, alsos };
}

const compiled = new WeakMap<CelSchema, { readonly node: RuleNode | undefined }>();

function rulesOf(schema: CelSchema): RuleNode | undefined {
  let found = compiled.get(schema);
  if (found === undefined) {
    found = { node: compileNode(schema, declareSchema(schema, "self", true)) };
    compiled.set(schema, found);
  }
  return found.node;
}

const failed = (path: string, { reason }: ValidationRule, type: string, text: string): Cause => {
  if (reason === "FieldValueForbidden") return forbidden(path, text);
  if (reason === "FieldValueRequired") return required(path, text);
  if (reason === "FieldValueDuplicate") return duplicate(path, type);
  return invalid(path, type, text);
};

/** A rule in messages. */
const ruleText = ({ message, rule }: ValidationRule): string =>
  (message ?? "").trim() || rule.trim();

const OUT_OF_BUDGET =
  "validation failed due to running out of cost budget, no further validation rules will be run";

/** The path that a rule blames, as it is appended: `.spec['a.b']`. */
const blamed = (path: string, fieldPath: string | undefined): string => {
  if (fieldPath === undefined || fieldPath === "") return path;
  const tail = fieldPath.replaceAll(/\['((?:[^'\\]|\\.)*)'\]/g, (_all, name: string) => {
    const bare = name.replaceAll(/\\(.)/g, "$1");
    return /^[A-Za-z_][\w-]*$/.test(bare) ? `.${bare}` : `[${bare}]`;
  });
  return path === "" ? tail.replace(/^\./, "") : `${path}${tail}`;
};

/** Where a value stands, and what stood there before. */
interface Spot {
  readonly path: string;
  readonly value: unknown;
  /** Undefined where there is none, or none that can be told to be the same one. */
  readonly old: unknown;
  /** Whether the value, or the nearest part around it that had one before, is as it was. */
  readonly unchanged: () => boolean;
}

/** Stops where others may have their turn. */
type Turns = Generator<undefined, void>;

class Run {
  readonly causes: Cause[] = [];
  readonly warnings: string[] = [];
  #budget: number;
  /** The budget when others had their turn last. */
  #rested: number;

  constructor(budget: number) {
    this.#budget = budget;
    this.#rested = budget;
  }

  get #spent(): boolean {
    return this.#budget < 0;
  }

  /** What was wrong before and did not change is only warned about (KEP-4008). */
  #add(cause: Cause, usesOld: boolean, spot: Spot): void {
    if (!usesOld && spot.unchanged()) this.warnings.push(`${cause.field}: ${cause.message}`);
    else this.causes.push(cause);
  }

  *node(node: RuleNode, spot: Spot): Turns {
    if (this.#spent || spot.value === null || spot.value === undefined) return;
    yield* this.#rules(node, spot);
    for (const also of node.alsos) yield* this.node(also, spot);
    const { value } = spot;
    if (Array.isArray(value)) yield* this.#items(node, spot, value);
    else if (isObject(value)) yield* this.#fields(node, spot, value);
  }

  #below(spot: Spot, path: string, value: unknown, old: unknown): Spot {
    if (old === undefined) return { path, value, old, unchanged: spot.unchanged };
    let same: boolean | undefined;
    return {
      path,
      value,
      old,
      unchanged: () => {
        same ??= sameJson(value, old);
        return same;
      },
    };
  }

  *#items(node: RuleNode, spot: Spot, items: readonly unknown[]): Turns {
    if (node.each === undefined) return;
    for (const [index, item] of items.entries()) {
      const old = oldItem(node.schema, item, spot.old);
      yield* this.node(node.each, this.#below(spot, `${spot.path}[${index}]`, item, old));
    }
  }

  *#fields(node: RuleNode, spot: Spot, fields: Record<string, unknown>): Turns {
    const before = isObject(spot.old) ? spot.old : {};
    if (node.each !== undefined) {
      for (const [name, value] of Object.entries(fields)) {
        const below = this.#below(spot, `${spot.path}[${name}]`, value, before[name]);
        yield* this.node(node.each, below);
      }
    }
    for (const [name, child] of node.fields) {
      if (fields[name] === undefined) continue;
      const path = spot.path === "" ? name : `${spot.path}.${name}`;
      yield* this.node(child, this.#below(spot, path, fields[name], before[name]));
    }
  }

  *#rules(node: RuleNode, spot: Spot): Turns {
    if (node.rules.length === 0) return;
    const type = node.schema.type ?? "";
    const at = spot.path || "<nil>";
    if (this.#budget === 0) {
      this.causes.push(invalid(at, type, OUT_OF_BUDGET));
      this.#budget = -1;
      return;
    }
    const self = node.declared.convert(spot.value);
    const old = spot.old === undefined ? undefined : node.declared.convert(spot.old);
    for (const each of node.rules) {
      if (this.#spent) return;
      const optional = each.rule.optionalOldSelf === true;
      if (each.usesOld && old === undefined && !optional) continue;
      const oldSelf = optional ? new Optional(old) : old;
      yield* this.#rule(each, { spot, at, type, variable: variables(self, oldSelf) });
      if (this.#rested - this.#budget < limits.celStepsPerTurn) continue;
      this.#rested = this.#budget;
      yield;
    }
  }

  /** A long expression takes several turns. */
  *#run(program: Program, variable: Place["variable"]): Generator<undefined, Outcome> {
    const evaluation = program.start(variable);
    for (;;) {
      const outcome = evaluation.next();
      if (outcome !== undefined) return outcome;
      this.#rested = this.#budget;
      yield;
    }
  }

  *#rule(compiledRule: CompiledRule, place: Place): Turns {
    const { rule, program, usesOld } = compiledRule;
    const { spot, at, type, variable } = place;
    const { value, error, cost } = yield* this.#run(program, variable);
    if (error instanceof CostError) {
      const detail =
        `'${error.message}': no further validation rules will be run due to call cost exceeds ` +
        `limit for rule: ${ruleText(rule)}`;
      this.causes.push(invalid(at, type, detail));
      this.#budget = -1;
      return;
    }
    this.#budget -= cost;
    if (this.#spent) {
      this.causes.push(invalid(at, type, OUT_OF_BUDGET));
    } else if (error !== undefined) {
      this.causes.push(invalid(at, type, errorText(error.message, rule)));
    } else if (value !== true) {
      const text = yield* this.#message(compiledRule, variable);
      this.#add(failed(blamed(spot.path, rule.fieldPath) || at, rule, type, text), usesOld, spot);
    }
  }

  *#message(
    { rule, message }: CompiledRule,
    variable: Place["variable"],
  ): Generator<undefined, string> {
    const plain = (rule.message ?? "").trim() || `failed rule: ${ruleText(rule)}`;
    if (message === undefined) return plain;
    const { value, cost } = yield* this.#run(message, variable);
    this.#budget -= Number.isFinite(cost) ? cost : limits.celRunCostMax;
    if (typeof value !== "string") return plain;
    const text = value.trim();
    const bad = text === "" || text.includes("\n") || text.length > limits.celMessageCharsMax;
    return bad ? plain : text;
  }
}

interface Place {
  readonly spot: Spot;
  /** The path in messages. */
  readonly at: string;
  readonly type: string;
  readonly variable: (name: string) => Value | undefined;
}

const variables =
  (self: Value, oldSelf: Value | undefined): Place["variable"] =>
  (name) =>
    name === "self" ? self : name === "oldSelf" ? oldSelf : undefined;

function errorText(message: string, rule: ValidationRule): string {
  if (!message.startsWith("no such overload"))
    return `${message} evaluating rule: ${ruleText(rule)}`;
  return (
    `'${message}': call arguments did not match a supported operator, function or macro ` +
    `signature for rule: ${ruleText(rule)}`
  );
}

/** The item that was this one before: only lists with keys can tell. */
function oldItem(schema: CelSchema, item: unknown, old: unknown): unknown {
  if (schema["x-kubernetes-list-type"] !== "map" || !Array.isArray(old)) return undefined;
  const keys = schema["x-kubernetes-list-map-keys"] ?? [];
  return old.find(
    (each) => isObject(each) && isObject(item) && keys.every((key) => each[key] === item[key]),
  );
}

export interface RuleOptions {
  /** Steps for all rules together; upstream's by default. */
  readonly budget?: number;
  /** What is wrong but was so before. */
  readonly warnings?: string[];
}

function* rulesInTurns(
  schema: CelSchema,
  object: unknown,
  old: unknown,
  options: RuleOptions,
): Generator<undefined, Cause[]> {
  const node = rulesOf(schema);
  if (node === undefined) return [];
  const run = new Run(options.budget ?? limits.celBudgetMax);
  const unchanged = (): boolean => old !== undefined && sameJson(object, old);
  yield* run.node(node, { path: "", value: object, old, unchanged });
  options.warnings?.push(...run.warnings);
  return run.causes;
}

/**
 * Runs the rules of a schema over an object; transition rules where there is an old one. All of
 * them may take a second: others have their turn in between.
 */
export async function validateRules(
  schema: CelSchema,
  object: unknown,
  old: unknown,
  options: RuleOptions = {},
): Promise<Cause[]> {
  const run = rulesInTurns(schema, object, old, options);
  for (;;) {
    const next = run.next();
    if (next.done === true) return next.value;
    await nextTurn();
  }
}
