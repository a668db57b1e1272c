/**
 * Nobody gives away more rights than they have, unless they may `escalate` or `bind`.
 * (Kubernetes reference, RBAC: privilege escalation prevention and bootstrapping).
 */
import type { Attributes, MakePlugin } from "#api/admission.ts";
import { isMaster } from "#api/auth/authorize.ts";
import { rulesFor } from "#api/auth/rbac.ts";
import { uncovered } from "#api/auth/rules.ts";
import { refuse } from "#api/errors.ts";
import { sameJson } from "#api/json.ts";
import { metadataOf } from "#api/meta.ts";
import type { ApiObject } from "#resources/meta.ts";
import type { ClusterRole, PolicyRule, Role, RoleBinding } from "#resources/types.gen.ts";

const GROUP = "rbac.authorization.k8s.io";

/** An aggregationRule may select rules that are written later, so it needs all permissions. */
const EVERY_RIGHT: readonly PolicyRule[] = [
  { verbs: ["*"], apiGroups: ["*"], resources: ["*"] },
  { verbs: ["*"], nonResourceURLs: ["*"] },
];

/** The garbage collector edits owners and finalizers without holding the role's permissions. */
function onlyForCollection(object: ApiObject, old: ApiObject): boolean {
  const bare = (of: ApiObject): ApiObject => {
    const metadata = { ...metadataOf(of) };
    for (const field of ["resourceVersion", "managedFields", "ownerReferences", "finalizers"]) {
      delete metadata[field as keyof typeof metadata];
    }
    return { ...of, metadata };
  };
  return sameJson(bare(object), bare(old));
}

function shown(rules: readonly PolicyRule[]): string {
  const quote = (values: readonly string[] = []): string =>
    values.map((value) => JSON.stringify(value)).join(",");
  return rules
    .map((rule) => {
      const parts: string[] = [];
      const add = (name: string, values: readonly string[] | undefined): void => {
        if (values !== undefined && values.length > 0) parts.push(`${name}:[${quote(values)}]`);
      };
      add("APIGroups", rule.apiGroups);
      add("Resources", rule.resources);
      add("ResourceNames", rule.resourceNames);
      add("NonResourceURLs", rule.nonResourceURLs);
      add("Verbs", rule.verbs);
      return `{${parts.join(", ")}}`;
    })
    .join("\n");
}

export const rbacEscalation: MakePlugin = (core) => {
  const { roles, authorizer } = core;

  function refuseUncovered(attributes: Attributes, wanted: readonly PolicyRule[]): void {
    const { user, namespace, resource, name } = attributes;
    const missing = uncovered(rulesFor(roles, user, namespace), wanted);
    if (missing.length === 0) return;
    const why =
      `user ${JSON.stringify(user.name)} (groups=${JSON.stringify(user.groups)}) is ` +
      `attempting to ` +
      `grant RBAC permissions not currently held:\n${shown(missing)}`;
    throw refuse.forbidden(resource.kind, name, why);
  }

  async function may(attributes: Attributes, verb: string, plural: string, name: string) {
    const { user, namespace } = attributes;
    const opinion = await authorizer.decide({
      user,
      verb,
      group: GROUP,
      version: "v1",
      plural,
      name,
      ...(namespace !== undefined && { namespace }),
    });
    return opinion.verdict === "allow";
  }

  async function checkRole(attributes: Attributes): Promise<void> {
    const { user, namespace, resource, name } = attributes;
    const role = attributes.object as Role | ClusterRole;
    if (await may(attributes, "escalate", resource.kind.plural, name)) return;
    refuseUncovered(attributes, role.rules ?? []);
    const old = attributes.old as ClusterRole | undefined;
    const gathers = (of: ClusterRole | undefined): boolean => of?.aggregationRule !== undefined;
    if (!gathers(role) && !gathers(old)) return;
    if (uncovered(rulesFor(roles, user, namespace), EVERY_RIGHT).length === 0) return;
    const why = "must have cluster-admin privileges to use the aggregationRule";
    throw refuse.forbidden(resource.kind, name, why);
  }

  async function checkBinding(attributes: Attributes): Promise<void> {
    const binding = attributes.object as RoleBinding;
    const { roleRef } = binding;
    const plural = roleRef.kind === "ClusterRole" ? "clusterroles" : "roles";
    if (await may(attributes, "bind", plural, roleRef.name)) return;
    const rules = roles.rulesOf(roleRef, attributes.namespace);
    if (rules === undefined) {
      throw refuse.notFound({ group: GROUP, plural, kind: roleRef.kind }, roleRef.name);
    }
    refuseUncovered(attributes, rules);
  }

  return {
    name: "RBACEscalation",
    validate(attributes) {
      const { resource, operation, object, old, user } = attributes;
      if (resource.kind.group !== GROUP || object === undefined) return;
      if (operation !== "CREATE" && operation !== "UPDATE") return;
      if (isMaster(user) || (old !== undefined && onlyForCollection(object, old))) return;
      return resource.kind.plural.endsWith("bindings")
        ? checkBinding(attributes)
        : checkRole(attributes);
    },
  };
};
