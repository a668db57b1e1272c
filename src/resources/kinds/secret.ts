import { ageColumn, nameColumn } from "#resources/columns/text.ts";
import { defineKind } from "#resources/kind.ts";
import type { Secret } from "#resources/types.gen.ts";
import { validateSecret } from "#resources/validate/data.ts";
import { secretWarnings } from "#resources/warnings/others.ts";

/** `stringData` is for writing only: it ends up in `data` and is never read back. */
function writeStringData(secret: Secret): void {
  if (!secret.stringData) return;
  secret.data ??= {};
  for (const [key, text] of Object.entries(secret.stringData)) {
    secret.data[key] = Buffer.from(text, "utf8").toString("base64");
  }
  delete secret.stringData;
}

export const secrets = defineKind<Secret>({
  group: "",
  version: "v1",
  kind: "Secret",
  plural: "secrets",
  namespaced: true,
  schema: "io.k8s.api.core.v1.Secret",
  columns: [
    nameColumn,
    { name: "Type", cell: (secret) => secret.type ?? "" },
    { name: "Data", cell: (secret) => Object.keys(secret.data ?? {}).length },
    ageColumn,
  ],
  defaults: (secret) => {
    secret.type ||= "Opaque";
    writeStringData(secret);
  },
  fields: (secret) => ({ type: secret.type ?? "" }),
  validate: validateSecret,
  warnings: secretWarnings,
});
