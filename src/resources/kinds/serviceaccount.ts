import { ageColumn, nameColumn } from "#resources/columns/text.ts";
import { defineKind } from "#resources/kind.ts";
import type { ServiceAccount } from "#resources/types.gen.ts";
import { accountWarnings } from "#resources/warnings/others.ts";

export const serviceAccounts = defineKind<ServiceAccount>({
  group: "",
  version: "v1",
  kind: "ServiceAccount",
  plural: "serviceaccounts",
  namespaced: true,
  schema: "io.k8s.api.core.v1.ServiceAccount",
  shortNames: ["sa"],
  columns: [
    nameColumn,
    { name: "Secrets", cell: (account) => (account.secrets ?? []).length },
    ageColumn,
  ],
  prepare: (account) => {
    if (account.secrets) account.secrets = account.secrets.map(({ name = "" }) => ({ name }));
  },
  warnings: accountWarnings,
});
