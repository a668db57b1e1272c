import { ageColumn, nameColumn } from "#resources/columns/text.ts";
import type { Column } from "#resources/kind.ts";
import type { ApiObject } from "#resources/meta.ts";
import type { RbacV1Subject, RoleRef } from "#resources/types.gen.ts";

/** RoleBinding and ClusterRoleBinding alike. */
export interface BindingLike extends ApiObject {
  roleRef: RoleRef;
  subjects?: RbacV1Subject[];
}

const subjectsOf = (binding: BindingLike, kind: string): string =>
  (binding.subjects ?? [])
    .filter((subject) => subject.kind === kind)
    .map(({ name = "", namespace = "" }) =>
      kind === "ServiceAccount" ? `${namespace}/${name}` : name,
    )
    .join(", ");

export const bindingColumns: Column<BindingLike>[] = [
  nameColumn,
  {
    name: "Role",
    cell: (binding) => `${binding.roleRef?.kind ?? ""}/${binding.roleRef?.name ?? ""}`,
  },
  ageColumn,
  { name: "Users", priority: 1, cell: (binding) => subjectsOf(binding, "User") },
  { name: "Groups", priority: 1, cell: (binding) => subjectsOf(binding, "Group") },
  {
    name: "ServiceAccounts",
    priority: 1,
    cell: (binding) => subjectsOf(binding, "ServiceAccount"),
  },
];
