/**
 * Admission webhooks and policies (admissionregistration validation). Expressions are compiled by
 * the API.
 */
import { type Cause, duplicate, forbidden, invalid, required, tooMany } from "#resources/field.ts";
import type {
  AuditAnnotation,
  MatchCondition,
  MatchResources,
  MutatingWebhook,
  NamedRuleWithOperations,
  ValidatingAdmissionPolicy,
  ValidatingAdmissionPolicyBinding,
  ValidatingWebhook,
} from "#resources/types.gen.ts";
import {
  byRule,
  each,
  present,
  requiredByRule,
  requiredWord,
  supported,
  unique,
} from "#resources/validate/basic.ts";
import { checkSelector } from "#resources/validate/selector.ts";
import {
  label1035Errors,
  pathErrors,
  qualifiedNameErrors,
  subdomainErrors,
} from "#resources/validate/text.ts";
import { checkWebhookTarget } from "#resources/validate/webhook.ts";

const OPERATIONS = ["*", "CONNECT", "CREATE", "DELETE", "UPDATE"];
const SCOPES = ["*", "Cluster", "Namespaced"];
const REVIEW_VERSIONS = ["v1", "v1beta1"];
const SIDE_EFFECTS = ["None", "NoneOnDryRun"];
const CONDITIONS_MAX = 64;
const AUDIT_ANNOTATIONS_MAX = 20;
const AUDIT_EXPRESSION_BYTES_MAX = 5 * 1024;
/** Words that no variable may be named (CEL language definition, reserved words). */
const CEL_WORDS: ReadonlySet<string> = new Set([
  ...["true", "false", "null", "in", "as", "break", "const", "continue", "else", "for"],
  ...["function", "if", "import", "let", "loop", "package", "namespace", "return", "var"],
  ...["void", "while"],
]);

/** A star stands alone. */
const loneStar = (list: readonly string[], what: string, path: string): Cause[] =>
  list.length > 1 && list.includes("*")
    ? [invalid(path, list, `if '*' is present, must not specify other ${what}`)]
    : [];

const filled = (list: readonly string[], path: string): Cause[] =>
  list.length === 0 ? [required(path)] : [];

function resourceCauses(resources: readonly string[], path: string): Cause[] {
  const wildSubresources = new Set<string>();
  const wildResources = new Set<string>();
  const causes = filled(resources, path);
  const found = each(resources, path, (resource, at) => {
    if (resource === "") return [required(at)];
    const slash = resource.indexOf("/");
    if (slash < 0) return [];
    const [name, part] = [resource.slice(0, slash), resource.slice(slash + 1)];
    const all: Cause[] = [];
    if (wildSubresources.has(name)) {
      const detail = `if '${name}/*' is present, must not specify ${resource}`;
      all.push(invalid(at, resource, detail));
    }
    if (wildResources.has(part)) {
      const detail = `if '*/${part}' is present, must not specify ${resource}`;
      all.push(invalid(at, resource, detail));
    }
    if (part === "*") wildSubresources.add(name);
    if (name === "*") wildResources.add(part);
    return all;
  });
  causes.push(...found);
  if (resources.length > 1 && resources.includes("*/*")) {
    causes.push(invalid(path, resources, "if '*/*' is present, must not specify other resources"));
  }
  const plain = resources.some((resource) => resource !== "*" && !resource.includes("/"));
  if (resources.includes("*") && plain) {
    const detail = "if '*' is present, must not specify other resources without subresources";
    causes.push(invalid(path, resources, detail));
  }
  return causes;
}

function ruleCauses(rule: NamedRuleWithOperations, path: string): Cause[] {
  const { operations = [], apiGroups = [], apiVersions = [], resources = [] } = rule;
  const names = new Set<string>();
  return [
    ...each(rule.resourceNames, `${path}.resourceNames`, (name, at) => {
      const causes = byRule(pathErrors, name, at);
      if (names.has(name)) causes.push(duplicate(at, name));
      names.add(name);
      return causes;
    }),
    ...filled(operations, `${path}.operations`),
    ...loneStar(operations, "operations", `${path}.operations`),
    ...each(operations, `${path}.operations`, (operation, at) =>
      supported(operation, OPERATIONS, at),
    ),
    ...filled(apiGroups, `${path}.apiGroups`),
    ...loneStar(apiGroups, "API groups", `${path}.apiGroups`),
    ...filled(apiVersions, `${path}.apiVersions`),
    ...loneStar(apiVersions, "API versions", `${path}.apiVersions`),
    ...each(apiVersions, `${path}.apiVersions`, (version, at) => present(version, at)),
    ...resourceCauses(resources, `${path}.resources`),
    ...supported(rule.scope, SCOPES, `${path}.scope`),
  ];
}

function conditionCauses(conditions: readonly MatchCondition[] | undefined, path: string): Cause[] {
  const list = conditions ?? [];
  const names = new Set<string>();
  const causes = list.length > CONDITIONS_MAX ? [tooMany(path, list.length, CONDITIONS_MAX)] : [];
  const found = each(list, path, ({ name, expression }, at) => {
    const all = [
      ...present(expression?.trim(), `${at}.expression`),
      ...requiredByRule(qualifiedNameErrors, name, `${at}.name`),
    ];
    if (name && names.has(name)) all.push(duplicate(`${at}.name`, name));
    names.add(name);
    return all;
  });
  return [...causes, ...found];
}

function hookName(name: string | undefined, path: string): Cause[] {
  if (!name) return [required(path)];
  const errors = subdomainErrors(name);
  if (errors.length > 0) return [invalid(path, name, errors.join(","))];
  if (name.split(".").length >= 3) return [];
  const detail = "should be a domain with at least three segments separated by dots";
  return [invalid(path, name, detail)];
}

function versionCauses(versions: readonly string[], path: string): Cause[] {
  if (versions.length === 0) return [required(path, "must specify one of v1, v1beta1")];
  const seen = new Set<string>();
  const causes = each(versions, path, (version, at) => {
    if (seen.has(version)) return [invalid(at, version, "duplicate version")];
    seen.add(version);
    return byRule(label1035Errors, version, at);
  });
  if (versions.some((version) => REVIEW_VERSIONS.includes(version))) return causes;
  return [...causes, invalid(path, versions, "must include at least one of v1, v1beta1")];
}

function hookCauses(hook: ValidatingWebhook | MutatingWebhook, path: string): Cause[] {
  const { sideEffects, timeoutSeconds: seconds } = hook;
  const causes = [
    ...hookName(hook.name, `${path}.name`),
    ...each(hook.rules, `${path}.rules`, ruleCauses),
    ...supported(hook.failurePolicy, ["Fail", "Ignore"], `${path}.failurePolicy`),
    ...supported(hook.matchPolicy, ["Equivalent", "Exact"], `${path}.matchPolicy`),
    ...(sideEffects !== undefined
      ? supported(sideEffects, SIDE_EFFECTS, `${path}.sideEffects`)
      : [required(`${path}.sideEffects`, "must specify one of None, NoneOnDryRun")]),
  ];
  if (seconds !== undefined && (seconds < 1 || seconds > 30)) {
    const detail = "the timeout value must be between 1 and 30 seconds";
    causes.push(invalid(`${path}.timeoutSeconds`, seconds, detail));
  }
  const reinvocation = "reinvocationPolicy" in hook ? hook.reinvocationPolicy : undefined;
  return [
    ...causes,
    ...checkSelector(hook.namespaceSelector, `${path}.namespaceSelector`),
    ...checkSelector(hook.objectSelector, `${path}.objectSelector`),
    ...supported(reinvocation, ["IfNeeded", "Never"], `${path}.reinvocationPolicy`),
    ...checkWebhookTarget(hook.clientConfig ?? {}, `${path}.clientConfig`),
    ...conditionCauses(hook.matchConditions, `${path}.matchConditions`),
    ...versionCauses(hook.admissionReviewVersions ?? [], `${path}.admissionReviewVersions`),
  ];
}

/** The hooks of a configuration, mutating or validating. */
export function validateWebhooks(configuration: {
  webhooks?: Array<ValidatingWebhook | MutatingWebhook>;
}): Cause[] {
  const names = new Set<string>();
  return each(configuration.webhooks, "webhooks", (hook, at) => {
    const causes = hookCauses(hook, at);
    if (hook.name && names.has(hook.name)) causes.push(duplicate(`${at}.name`, hook.name));
    names.add(hook.name);
    return causes;
  });
}

const matchCauses = (match: MatchResources | undefined, path: string): Cause[] => [
  ...supported(match?.matchPolicy, ["Equivalent", "Exact"], `${path}.matchPolicy`),
  ...checkSelector(match?.namespaceSelector, `${path}.namespaceSelector`),
  ...checkSelector(match?.objectSelector, `${path}.objectSelector`),
  ...each(match?.resourceRules, `${path}.resourceRules`, ruleCauses),
  ...each(match?.excludeResourceRules, `${path}.excludeResourceRules`, ruleCauses),
];

/** `group/version`, or a version of the core group. */
function versionKindCauses(version: string, path: string): Cause[] {
  if (version === "") return [required(path)];
  const parts = version.split("/");
  if (parts.length > 2) {
    return [invalid(path, version, `unexpected GroupVersion string: ${version}`)];
  }
  const [group = "", number = ""] = parts.length === 1 ? ["", version] : parts;
  const groupErrors = group === "" ? [] : subdomainErrors(group);
  const causes = groupErrors.length === 0 ? [] : [invalid(path, group, groupErrors.join(","))];
  if (number === "") return [...causes, invalid(path, version, "version must be specified")];
  const errors = label1035Errors(number);
  return errors.length === 0 ? causes : [...causes, invalid(path, number, errors.join(","))];
}

function variableName(name: string, path: string): Cause[] {
  if (name.trim() === "") return [required(path, "name is not specified")];
  if (/^[_a-zA-Z][_a-zA-Z0-9]*$/.test(name) && !CEL_WORDS.has(name)) return [];
  return [invalid(path, name, "must be a valid CEL identifier")];
}

function auditCauses(
  { key = "", valueExpression }: AuditAnnotation,
  policy: string,
  path: string,
): Cause[] {
  const expression = valueExpression?.trim() ?? "";
  const at = `${path}.valueExpression`;
  const detail = `must not exceed ${AUDIT_EXPRESSION_BYTES_MAX} bytes in length`;
  return [
    ...(policy === ""
      ? [invalid(`${path}.key`, key, "requires metadata.name be non-empty")]
      : byRule(qualifiedNameErrors, `${policy}/${key}`, `${path}.key`)),
    ...present(expression, at, "valueExpression is not specified"),
    ...(expression.length > AUDIT_EXPRESSION_BYTES_MAX ? [required(at, detail)] : []),
  ];
}

function paramCauses(kind: { apiVersion?: string; kind?: string } | undefined): Cause[] {
  if (!kind) return [];
  const at = "spec.paramKind";
  const causes = versionKindCauses(kind.apiVersion ?? "", `${at}.apiVersion`);
  if (!kind.kind) return [...causes, required(`${at}.kind`)];
  const errors = label1035Errors(kind.kind.toLowerCase());
  if (errors.length === 0) return causes;
  const detail = `may have mixed case, but should otherwise match: ${errors.join(",")}`;
  return [...causes, invalid(`${at}.kind`, kind.kind, detail)];
}

const REASONS = ["Forbidden", "Invalid", "RequestEntityTooLarge"];

export function validatePolicy(
  policy: ValidatingAdmissionPolicy,
  _old: ValidatingAdmissionPolicy | undefined,
  subresource?: string,
): Cause[] {
  if (subresource === "status") return [];
  const { spec = {} } = policy;
  const { validations = [], auditAnnotations = [], matchConstraints } = spec;
  const causes = [
    ...supported(spec.failurePolicy, ["Fail", "Ignore"], "spec.failurePolicy"),
    ...paramCauses(spec.paramKind),
  ];
  if (!matchConstraints) causes.push(required("spec.matchConstraints"));
  else if ((matchConstraints.resourceRules ?? []).length === 0) {
    causes.push(required("spec.matchConstraints.resourceRules"));
  }
  if (validations.length + auditAnnotations.length === 0) {
    const detail = "validations or auditAnnotations must contain at least one item";
    causes.push(required("spec.validations", detail), required("spec.auditAnnotations", detail));
  }
  if (auditAnnotations.length > AUDIT_ANNOTATIONS_MAX) {
    const detail = `must not have more than ${AUDIT_ANNOTATIONS_MAX} auditAnnotations`;
    causes.push(invalid("spec.auditAnnotations", auditAnnotations, detail));
  }
  return [
    ...causes,
    ...matchCauses(matchConstraints, "spec.matchConstraints"),
    ...conditionCauses(spec.matchConditions, "spec.matchConditions"),
    ...each(spec.variables, "spec.variables", ({ name, expression }, at) => [
      ...variableName(name ?? "", `${at}.name`),
      ...present(expression?.trim(), `${at}.expression`, "expression is not specified"),
    ]),
    ...each(validations, "spec.validations", ({ expression, reason }, at) => [
      ...present(expression?.trim(), `${at}.expression`, "expression is not specified"),
      ...supported(reason, REASONS, `${at}.reason`),
    ]),
    ...each(auditAnnotations, "spec.auditAnnotations", (annotation, at) =>
      auditCauses(annotation, policy.metadata?.name ?? "", at),
    ),
  ];
}

export function validatePolicyBinding(binding: ValidatingAdmissionPolicyBinding): Cause[] {
  const {
    policyName,
    paramRef,
    matchResources,
    validationActions: actions = [],
  } = binding.spec ?? {};
  const causes = requiredByRule(subdomainErrors, policyName, "spec.policyName");
  if (paramRef) {
    const at = "spec.paramRef";
    if (!paramRef.name && !paramRef.selector) {
      causes.push(required(at, "one of name or selector must be specified"));
    }
    if (paramRef.name && paramRef.selector) {
      const detail = "name and selector are mutually exclusive";
      causes.push(forbidden(`${at}.name`, detail), forbidden(`${at}.selector`, detail));
    }
    causes.push(
      ...(paramRef.name ? byRule(pathErrors, paramRef.name, `${at}.name`) : []),
      ...checkSelector(paramRef.selector, `${at}.selector`),
      ...requiredWord(
        paramRef.parameterNotFoundAction,
        ["Deny", "Allow"],
        `${at}.parameterNotFoundAction`,
      ),
    );
  }
  const at = "spec.validationActions";
  const valid = ["Audit", "Deny", "Warn"];
  causes.push(
    ...each(actions, at, (action, index) => supported(action, valid, index)),
    ...unique(
      actions,
      (action) => action,
      (index) => `${at}[${index}]`,
    ),
  );
  if (actions.includes("Deny") && actions.includes("Warn")) {
    const detail =
      "must not contain both Deny and Warn (repeating the same validation failure " +
      "information in the API response and headers serves no purpose)";
    causes.push(invalid(at, actions, detail));
  }
  if (actions.length === 0) {
    causes.push(required(at, "at least one validation action is required"));
  }
  return [...causes, ...matchCauses(matchResources, "spec.matchResources")];
}
