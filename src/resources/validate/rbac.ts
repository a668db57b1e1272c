/** Roles and their bindings (rbac validation; "Using RBAC Authorization"). */
import { sameValue } from "#resources/equal.ts";
import { type Cause, invalid, notSupported, required } from "#resources/field.ts";
import type {
  ClusterRole,
  ClusterRoleBinding,
  PolicyRule,
  RbacV1Subject,
  Role,
  RoleBinding,
} from "#resources/types.gen.ts";
import { byRule, each, present, requiredByRule, supported } from "#resources/validate/basic.ts";
import { checkSelector } from "#resources/validate/selector.ts";
import { pathErrors, subdomainErrors } from "#resources/validate/text.ts";

const GROUP = "rbac.authorization.k8s.io";

const none = (list: readonly unknown[] | undefined): boolean => (list ?? []).length === 0;

function ruleCauses(rule: PolicyRule, at: string, namespaced: boolean): Cause[] {
  const causes: Cause[] = [];
  const { nonResourceURLs: urls, apiGroups, resources, resourceNames } = rule;
  if (none(rule.verbs)) {
    causes.push(required(`${at}.verbs`, "verbs must contain at least one value"));
  }
  if (!none(urls)) {
    if (namespaced) {
      const detail = "namespaced rules cannot apply to non-resource URLs";
      causes.push(invalid(`${at}.nonResourceURLs`, urls, detail));
    }
    if (!none(apiGroups) || !none(resources) || !none(resourceNames)) {
      const detail = "rules cannot apply to both regular resources and non-resource URLs";
      causes.push(invalid(`${at}.nonResourceURLs`, urls, detail));
    }
    return causes;
  }
  if (none(apiGroups)) {
    causes.push(required(`${at}.apiGroups`, "resource rules must supply at least one api group"));
  }
  if (none(resources)) {
    causes.push(required(`${at}.resources`, "resource rules must supply at least one resource"));
  }
  return causes;
}

export const validateRole = (role: Role): Cause[] =>
  each(role.rules, "rules", (rule, at) => ruleCauses(rule, at, true));

export function validateClusterRole(role: ClusterRole): Cause[] {
  const causes = each(role.rules, "rules", (rule, at) => ruleCauses(rule, at, false));
  if (!role.aggregationRule) return causes;
  const selectors = role.aggregationRule.clusterRoleSelectors;
  const at = "aggregationRule.clusterRoleSelectors";
  if (none(selectors)) {
    const detail = "at least one clusterRoleSelector required if aggregationRule is non-nil";
    return [...causes, required(at, detail)];
  }
  const found = each(selectors, at, (selector, index) => {
    const wrong = checkSelector(selector, index);
    return wrong.length > 0 ? [...wrong, invalid(index, null, "invalid label selector.")] : [];
  });
  return [...causes, ...found];
}

function subjectCauses(subject: RbacV1Subject, at: string, namespaced: boolean): Cause[] {
  const { kind, name, namespace, apiGroup = "" } = subject;
  const causes = present(name, `${at}.name`);
  if (kind === "User" || kind === "Group") {
    return [...causes, ...supported(apiGroup, [GROUP], `${at}.apiGroup`)];
  }
  if (kind !== "ServiceAccount") {
    const kinds = ["ServiceAccount", "User", "Group"];
    return [...causes, notSupported(`${at}.kind`, kind ?? "", kinds)];
  }
  if (name) causes.push(...byRule(subdomainErrors, name, `${at}.name`));
  if (apiGroup !== "") causes.push(notSupported(`${at}.apiGroup`, apiGroup, [""]));
  if (!namespaced && !namespace) causes.push(required(`${at}.namespace`));
  return causes;
}

function bindingCauses(
  binding: RoleBinding | ClusterRoleBinding,
  old: RoleBinding | ClusterRoleBinding | undefined,
  kinds: readonly string[],
): Cause[] {
  const { apiGroup = "", kind = "", name } = binding.roleRef ?? {};
  const causes = [
    ...supported(apiGroup, [GROUP], "roleRef.apiGroup"),
    ...supported(kind, kinds, "roleRef.kind"),
    ...requiredByRule(pathErrors, name, "roleRef.name"),
    ...each(binding.subjects, "subjects", (subject, at) =>
      subjectCauses(subject, at, kinds.includes("Role")),
    ),
  ];
  if (!old || sameValue(binding.roleRef, old.roleRef)) return causes;
  const shown = { APIGroup: apiGroup, Kind: kind, Name: name ?? "" };
  return [...causes, invalid("roleRef", shown, "cannot change roleRef")];
}

export const validateRoleBinding = (binding: RoleBinding, old: RoleBinding | undefined): Cause[] =>
  bindingCauses(binding, old, ["Role", "ClusterRole"]);

export const validateClusterRoleBinding = (
  binding: ClusterRoleBinding,
  old: ClusterRoleBinding | undefined,
): Cause[] => bindingCauses(binding, old, ["ClusterRole"]);
