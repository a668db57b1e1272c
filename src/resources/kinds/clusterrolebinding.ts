import { bindingColumns } from "#resources/columns/rbac.ts";
import { defaultBinding } from "#resources/defaults/rbac.ts";
import { defineKind } from "#resources/kind.ts";
import type { ClusterRoleBinding } from "#resources/types.gen.ts";
import { validateClusterRoleBinding } from "#resources/validate/rbac.ts";

export const clusterRoleBindings = defineKind<ClusterRoleBinding>({
  group: "rbac.authorization.k8s.io",
  version: "v1",
  kind: "ClusterRoleBinding",
  plural: "clusterrolebindings",
  namespaced: false,
  schema: "io.k8s.api.rbac.v1.ClusterRoleBinding",
  nameRule: "path",
  columns: bindingColumns,
  defaults: defaultBinding,
  validate: validateClusterRoleBinding,
});
