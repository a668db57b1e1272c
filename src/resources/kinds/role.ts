import { createdColumn, nameColumn } from "#resources/columns/text.ts";
import { defineKind } from "#resources/kind.ts";
import type { Role } from "#resources/types.gen.ts";
import { validateRole } from "#resources/validate/rbac.ts";

export const roles = defineKind<Role>({
  group: "rbac.authorization.k8s.io",
  version: "v1",
  kind: "Role",
  plural: "roles",
  namespaced: true,
  schema: "io.k8s.api.rbac.v1.Role",
  nameRule: "path",
  columns: [nameColumn, createdColumn],
  validate: validateRole,
});
