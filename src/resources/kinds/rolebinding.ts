import { bindingColumns } from "#resources/columns/rbac.ts";
import { defaultBinding } from "#resources/defaults/rbac.ts";
import { defineKind } from "#resources/kind.ts";
import type { RoleBinding } from "#resources/types.gen.ts";
import { validateRoleBinding } from "#resources/validate/rbac.ts";

export const roleBindings = defineKind<RoleBinding>({
  group: "rbac.authorization.k8s.io",
  version: "v1",
  kind: "RoleBinding",
  plural: "rolebindings",
  namespaced: true,
  schema: "io.k8s.api.rbac.v1.RoleBinding",
  nameRule: "path",
  columns: bindingColumns,
  defaults: defaultBinding,
  validate: validateRoleBinding,
});
