import { createdColumn, nameColumn } from "#resources/columns/text.ts";
import { defineKind } from "#resources/kind.ts";
import type { ClusterRole } from "#resources/types.gen.ts";
import { validateClusterRole } from "#resources/validate/rbac.ts";

export const clusterRoles = defineKind<ClusterRole>({
  group: "rbac.authorization.k8s.io",
  version: "v1",
  kind: "ClusterRole",
  plural: "clusterroles",
  namespaced: false,
  schema: "io.k8s.api.rbac.v1.ClusterRole",
  nameRule: "path",
  columns: [nameColumn, createdColumn],
  validate: validateClusterRole,
});
