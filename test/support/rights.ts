/** Users with exactly the rights that a test gives them. */
import type { UserInfo } from "#api/core.ts";
import type { PolicyRule } from "#resources/types.gen.ts";
import type { TestApi } from "#test/support/api.ts";

export const RBAC = "/apis/rbac.authorization.k8s.io/v1";
export const RBAC_GROUP = "rbac.authorization.k8s.io";

export const someone = (name: string, ...groups: string[]): UserInfo => ({
  name,
  groups: [...groups, "system:authenticated"],
});

export const rule = (
  apiGroup: string,
  resource: string,
  verbs: string[],
  resourceNames?: string[],
): PolicyRule => ({
  apiGroups: [apiGroup],
  resources: [resource],
  verbs,
  ...(resourceNames && { resourceNames }),
});

/** Gives a user a role of their own for the whole cluster. */
export async function allow(api: TestApi, user: string, ...rules: PolicyRule[]): Promise<UserInfo> {
  await api.create(`${RBAC}/clusterroles`, { metadata: { name: `of-${user}` }, rules } as object);
  await api.create(`${RBAC}/clusterrolebindings`, {
    metadata: { name: `of-${user}` },
    roleRef: { apiGroup: RBAC_GROUP, kind: "ClusterRole", name: `of-${user}` },
    subjects: [{ kind: "User", apiGroup: RBAC_GROUP, name: user }],
  } as object);
  return someone(user);
}
