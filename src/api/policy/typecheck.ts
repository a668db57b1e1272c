/**
 * Expressions against the types that a policy's rules speak of: warnings for its author (KEP-3488).
 */

import { CompileError } from "#api/cel/engine/problems.ts";
import type { Type } from "#api/cel/engine/types.ts";
import { declareKind } from "#api/cel/schema.ts";
import type { Core } from "#api/core.ts";
import { compareVersions } from "#api/discovery.ts";
import { programOf } from "#api/policy/evaluate.ts";
import { sightOf } from "#api/policy/judge.ts";
import { paramResource } from "#api/policy/params.ts";
import type { Resource } from "#api/registry.ts";
import { limits } from "#base/limits.ts";
import type {
  ExpressionWarning,
  NamedRuleWithOperations,
  ValidatingAdmissionPolicySpec,
} from "#resources/types.gen.ts";

const typeOf = ({ kind, schema }: Resource): Type | undefined =>
  declareKind(schema, kind.kind)?.type;

/** Rules with wildcards speak of no type in particular. */
function named({ apiGroups, apiVersions, resources }: NamedRuleWithOperations) {
  const all = [...(apiGroups ?? []), ...(apiVersions ?? []), ...(resources ?? [])];
  if (all.some((each) => each.includes("*") || each.includes("/"))) return [];
  return (apiGroups ?? []).flatMap((group) =>
    (apiVersions ?? []).flatMap((version) =>
      (resources ?? []).map((plural) => ({ group, version, plural })),
    ),
  );
}

function resourcesOf(core: Core, spec: ValidatingAdmissionPolicySpec): Resource[] {
  const rules = spec.matchConstraints?.resourceRules ?? [];
  const found = new Set<Resource>();
  for (const { group, version, plural } of rules.flatMap(named)) {
    const resource = core.registry.find(group, version, plural);
    if (resource !== undefined) found.add(resource);
  }
  return [...found]
    .sort(
      (a, b) =>
        a.kind.group.localeCompare(b.kind.group) ||
        compareVersions(a.kind.version, b.kind.version) ||
        a.kind.kind.localeCompare(b.kind.kind),
    )
    .slice(0, limits.policyTypesMax);
}

/** What is wrong with the expression for one type. */
function problemFor(
  spec: ValidatingAdmissionPolicySpec,
  source: string,
  object: Type,
  paramsType: Type | undefined,
): string | undefined {
  try {
    const sight = sightOf(spec, { object, ...(paramsType !== undefined && { paramsType }) });
    programOf(source, sight);
    return undefined;
  } catch (error) {
    if (error instanceof CompileError) return error.message;
    throw error;
  }
}

export function typeWarnings(core: Core, spec: ValidatingAdmissionPolicySpec): ExpressionWarning[] {
  const { paramKind } = spec;
  const params = paramKind === undefined ? undefined : paramResource(core, paramKind);
  const paramsType = params === undefined ? undefined : typeOf(params);
  const types = resourcesOf(core, spec).flatMap((resource) => {
    const type = typeOf(resource);
    return type === undefined ? [] : [{ resource, type }];
  });
  const warnings: ExpressionWarning[] = [];
  const check = (source: string | undefined, fieldRef: string): void => {
    if (!source) return;
    const lines = types.flatMap(({ resource, type }) => {
      const problem = problemFor(spec, source, type, paramsType);
      const { apiVersion, kind } = resource;
      return problem === undefined ? [] : [`${apiVersion}, Kind=${kind.kind}: ${problem}\n`];
    });
    if (lines.length > 0) warnings.push({ fieldRef, warning: lines.join("") });
  };
  spec.validations?.forEach(({ expression, messageExpression }, index) => {
    check(expression, `spec.validations[${index}].expression`);
    check(messageExpression, `spec.validations[${index}].messageExpression`);
  });
  return warnings;
}
