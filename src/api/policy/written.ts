/** A policy is checked when it is written: its expressions must be ones, and of the right type. */
import { CompileError } from "#api/cel/engine/problems.ts";
import { formatType, type Type } from "#api/cel/engine/types.ts";
import type { Sight } from "#api/policy/environment.ts";
import { programOf } from "#api/policy/evaluate.ts";
import { sightOf } from "#api/policy/judge.ts";
import { type Cause, invalid } from "#resources/field.ts";
import type {
  MatchCondition,
  ValidatingAdmissionPolicySpec,
  Variable,
} from "#resources/types.gen.ts";

type Check = (source: string | undefined, field: string, wanted: readonly string[]) => void;

/** Why the expression is refused; undefined where it is fine. */
export function expressionProblem(
  source: string,
  sight: Sight,
  wanted: readonly string[],
): string | undefined {
  let type: Type;
  try {
    ({ type } = programOf(source, sight));
  } catch (error) {
    if (!(error instanceof CompileError)) throw error;
    return `compilation failed: ${error.message}`;
  }
  if (wanted.length === 0 || type.kind === "dyn" || wanted.includes(formatType(type))) {
    return undefined;
  }
  return `must evaluate to ${wanted.join(" or ").replace("null", "null_type")}`;
}

/** The types of variables up to the first that is none. */
function knownSight(spec: ValidatingAdmissionPolicySpec): Sight {
  const good: Variable[] = [];
  for (const variable of spec.variables ?? []) {
    try {
      sightOf({ ...spec, variables: [...good, variable] });
      good.push(variable);
    } catch (error) {
      if (!(error instanceof CompileError)) throw error;
      // It is told where it stands; those behind it may still be checked.
    }
  }
  return sightOf({ ...spec, variables: good });
}

function checkAll(spec: ValidatingAdmissionPolicySpec, check: Check, checkBare: Check): void {
  spec.matchConditions?.forEach(({ expression }: MatchCondition, index) => {
    checkBare(expression, `spec.matchConditions[${index}].expression`, ["bool"]);
  });
  spec.validations?.forEach((each, index) => {
    const at = `spec.validations[${index}]`;
    check(each.expression, `${at}.expression`, ["bool"]);
    check(each.messageExpression, `${at}.messageExpression`, ["string"]);
  });
  spec.auditAnnotations?.forEach(({ valueExpression }, index) => {
    const at = `spec.auditAnnotations[${index}].valueExpression`;
    check(valueExpression, at, ["string", "null"]);
  });
}

/** Expressions that were there before are left alone. */
export function policyCauses(
  spec: ValidatingAdmissionPolicySpec,
  before: ValidatingAdmissionPolicySpec | undefined,
): Cause[] {
  const causes: Cause[] = [];
  const old = new Set<string>();
  const collect: Check = (source) => {
    if (source !== undefined) old.add(source);
  };
  if (before !== undefined) {
    checkAll(before, collect, collect);
    for (const { expression } of before.variables ?? []) old.add(expression);
  }
  const checkIn =
    (sight: Sight): Check =>
    (source, field, wanted) => {
      // What is missing is told by the kind's own rules.
      if (source === undefined || source.trim() === "" || old.has(source)) return;
      const problem = expressionProblem(source, sight, wanted);
      if (problem !== undefined) causes.push(invalid(field, source, problem));
    };
  const sight = knownSight(spec);
  const all = [...(sight.variables ?? [])];
  spec.variables?.forEach(({ expression }, index) => {
    const earlier = new Map(all.filter(([name]) => isBefore(spec, name, index)));
    const check = checkIn({ ...sight, variables: earlier });
    check(expression, `spec.variables[${index}].expression`, []);
  });
  checkAll(spec, checkIn(sight), checkIn({ ...sight, variables: undefined }));
  return causes;
}

const isBefore = (spec: ValidatingAdmissionPolicySpec, name: string, index: number): boolean =>
  (spec.variables ?? []).findIndex((each) => each.name === name) < index;
