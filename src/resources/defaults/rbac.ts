import type { BindingLike } from "#resources/columns/rbac.ts";

const GROUP = "rbac.authorization.k8s.io";

/** Groups of the role and of the subjects (Kubernetes API reference, RoleBinding v1). */
export function defaultBinding(binding: BindingLike): void {
  binding.roleRef ??= { apiGroup: GROUP, kind: "", name: "" };
  binding.roleRef.apiGroup ||= GROUP;
  for (const subject of binding.subjects ?? []) {
    if (subject.kind === "User" || subject.kind === "Group") subject.apiGroup ||= GROUP;
  }
}
