import { ageColumn, nameColumn } from "#resources/columns/text.ts";
import { defineKind } from "#resources/kind.ts";
import type { Lease } from "#resources/types.gen.ts";
import { dropUnlessUsed } from "#resources/unserved.ts";
import { validateLease } from "#resources/validate/small.ts";

export const leases = defineKind<Lease>({
  group: "coordination.k8s.io",
  version: "v1",
  kind: "Lease",
  plural: "leases",
  namespaced: true,
  schema: "io.k8s.api.coordination.v1.Lease",
  columns: [
    nameColumn,
    { name: "Holder", cell: ({ spec }) => spec?.holderIdentity ?? "" },
    ageColumn,
  ],
  prepare: (lease, old) => {
    dropUnlessUsed(lease.spec, old?.spec, "strategy", "preferredHolder");
  },
  validate: validateLease,
});
