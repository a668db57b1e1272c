/**
 * Rules of a definition are checked when it is written: they must compile, be cheap enough on the
 * largest object that the schema lets through, and look back only where a value can be told to be
 * the same one.
 */
import { CompileError } from "#api/cel/engine/problems.ts";
import { formatType } from "#api/cel/engine/types.ts";
import { compileOne } from "#api/cel/rules.ts";
import { type CelSchema, type Declared, declareSchema } from "#api/cel/schema.ts";
import { isObject } from "#api/json.ts";
import { limits } from "#base/limits.ts";
import { type Cause, forbidden, invalid } from "#resources/field.ts";
import type { ValidationRule } from "#resources/types.gen.ts";

/** One node on the way through a schema. */
interface Spot {
  readonly path: string;
  /** How many values there can be; undefined: as many as fit into a request. */
  readonly copies: number | undefined;
  /** The part whose items cannot be told apart. */
  readonly forgetful: string | undefined;
}

interface Expensive {
  readonly path: string;
  readonly cost: number;
}

const HINT =
  "(try simplifying the rule, or adding maxItems, maxProperties, and maxLength where arrays, " +
  "maps, and strings are declared)";

function tooExpensive(name: string, cost: number, costMax: number): string {
  const factor = cost / costMax;
  const shown =
    factor > 100
      ? "more than 100x"
      : factor < 1.5
        ? `${factor.toFixed(6)}x`
        : `${factor.toFixed(1)}x`;
  return `${name} exceeds budget by factor of ${shown} ${HINT}`;
}

class Check {
  readonly causes: Cause[] = [];
  readonly #expensive: Expensive[] = [];
  #total = 0;

  #observe(path: string, cost: number): void {
    this.#total += cost;
    if (cost >= limits.celSchemaCostMax / 100) this.#expensive.push({ path, cost });
  }

  /** One expression: compiled, of the right type, cheap enough. */
  #expression(
    source: string,
    declared: Declared,
    rule: ValidationRule,
    place: { path: string; what: "rule" | "messageExpression"; copies: number },
  ): ReadonlySet<string> | undefined {
    const { path, what, copies } = place;
    const prefix = what === "rule" ? "" : "messageExpression ";
    try {
      const program = compileOne(source, declared.type, rule);
      const wanted = what === "rule" ? "bool" : "string";
      if (formatType(program.type) !== wanted) {
        const subject = what === "rule" ? "cel expression" : "messageExpression";
        const article = `must evaluate to a ${wanted}`;
        this.causes.push(invalid(path, rule, `${subject} ${article}`));
        return undefined;
      }
      const cost = program.costMax * copies;
      this.#observe(path, cost);
      if (cost > limits.celStaticCostMax) {
        const name = what === "rule" ? "estimated rule cost" : "estimated messageExpression cost";
        this.causes.push(forbidden(path, tooExpensive(name, cost, limits.celStaticCostMax)));
      }
      return program.uses;
    } catch (error) {
      if (!(error instanceof CompileError)) throw error;
      this.causes.push(invalid(path, rule, `${prefix}compilation failed: ${error.message}`));
      return undefined;
    }
  }

  #rule(rule: ValidationRule, declared: Declared, spot: Spot, at: string): void {
    if ((rule.rule ?? "").trim() === "") return;
    const copies = spot.copies ?? Math.floor(limits.requestBodyBytesMax / (declared.bytesMin + 1));
    const path = `${at}.rule`;
    const uses = this.#expression(rule.rule, declared, rule, { path, what: "rule", copies });
    if (rule.messageExpression !== undefined && rule.messageExpression.trim() !== "") {
      const place = {
        path: `${at}.messageExpression`,
        what: "messageExpression",
        copies: 1,
      } as const;
      this.#expression(rule.messageExpression, declared, rule, place);
    }
    if (uses === undefined) return;
    if (uses.has("oldSelf")) {
      if (spot.forgetful === undefined) return;
      const detail =
        "oldSelf cannot be used on the uncorrelatable portion of the schema within " +
        spot.forgetful;
      this.causes.push(invalid(path, rule.rule, detail));
    } else if (rule.optionalOldSelf !== undefined) {
      const detail = "may not be set if oldSelf is not used in rule";
      this.causes.push(invalid(`${at}.optionalOldSelf`, rule.optionalOldSelf, detail));
    }
  }

  node(schema: CelSchema, declared: Declared | undefined, spot: Spot): void {
    const rules = schema["x-kubernetes-validations"] ?? [];
    if (declared === undefined) return;
    for (const [index, rule] of rules.entries()) {
      this.#rule(rule, declared, spot, `${spot.path}.x-kubernetes-validations[${index}]`);
    }
    for (const [name, child] of Object.entries(schema.properties ?? {})) {
      const path = `${spot.path}.properties[${name}]`;
      this.node(child, declared.fields?.get(name), { ...spot, path });
    }
    for (const [index, part] of (schema.allOf ?? []).entries()) {
      const path = `${spot.path}.allOf[${index}]`;
      this.node(part, declared, { ...spot, path });
    }
    this.#inner(schema, declared, spot);
  }

  #inner(schema: CelSchema, declared: Declared, spot: Spot): void {
    const inner = schema.items ?? schema.additionalProperties;
    if (!isObject(inner)) return;
    const isList = schema.items !== undefined;
    const path = `${spot.path}.${isList ? "items" : "additionalProperties"}`;
    const max = isList ? schema.maxItems : schema.maxProperties;
    const bounded = spot.copies !== undefined && max !== undefined;
    const forgets = isList && schema["x-kubernetes-list-type"] !== "map";
    this.node(inner as CelSchema, declared.each, {
      path,
      copies: bounded ? (spot.copies ?? 1) * Math.max(0, max) : undefined,
      forgetful: spot.forgetful ?? (forgets ? path : undefined),
    });
  }

  /** All rules together. */
  end(path: string): void {
    if (this.#total <= limits.celSchemaCostMax) return;
    const worst = this.#expensive.sort((a, b) => b.cost - a.cost).slice(0, 4);
    for (const each of worst) {
      const detail =
        "contributed to estimated rule cost total exceeding cost limit for entire OpenAPIv3 schema";
      this.causes.push(forbidden(each.path, detail));
    }
    const name = "x-kubernetes-validations estimated rule cost total for entire OpenAPIv3 schema";
    this.causes.push(forbidden(path, tooExpensive(name, this.#total, limits.celSchemaCostMax)));
  }
}

/** What is wrong with the rules of a custom resource's schema; `path` leads to it. */
export function checkRules(schema: CelSchema, path: string): Cause[] {
  const check = new Check();
  check.node(schema, declareSchema(schema, "self", true), {
    path,
    copies: 1,
    forgetful: undefined,
  });
  check.end(path);
  return check.causes;
}
