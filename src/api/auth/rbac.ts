/** Role-based access control. https://kubernetes.io/docs/reference/access-authn-authz/rbac/ */
import type { Access, AuthorizerLink } from "#api/auth/authorize.ts";
import type { Roles } from "#api/auth/roles.ts";
import { allows } from "#api/auth/rules.ts";
import type { UserInfo } from "#api/core.ts";
import type { PolicyRule } from "#resources/types.gen.ts";

export function rbac(roles: Roles): AuthorizerLink {
  return {
    name: "RBAC",
    decide(access: Access) {
      for (const { namespace, rules, reason } of roles.grants(access.user)) {
        if (namespace !== undefined && namespace !== access.namespace) continue;
        if (rules.some((rule) => allows(rule, access))) return { verdict: "allow", reason };
      }
      return { verdict: "none" };
    },
  };
}

/** All rules that hold for the user in a namespace (or at the cluster's scope). */
export function rulesFor(
  roles: Roles,
  user: UserInfo,
  namespace: string | undefined,
): PolicyRule[] {
  return roles
    .grants(user)
    .filter((grant) => grant.namespace === undefined || grant.namespace === namespace)
    .flatMap((grant) => grant.rules);
}
