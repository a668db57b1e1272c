import { ageColumn, nameColumn } from "#resources/columns/text.ts";
import { defaultDevices } from "#resources/defaults/devices.ts";
import { dropUnservedClaimFields } from "#resources/devicefields.ts";
import { defineKind } from "#resources/kind.ts";
import type { ResourceV1ResourceClaim } from "#resources/types.gen.ts";
import { validateResourceClaim } from "#resources/validate/devices.ts";

function stateText({ metadata, status }: ResourceV1ResourceClaim): string {
  const words = metadata?.deletionTimestamp ? ["deleted"] : [];
  if (status?.allocation) {
    words.push("allocated");
    if ((status.reservedFor ?? []).length > 0) words.push("reserved");
  } else if (words.length === 0) {
    words.push("pending");
  }
  return words.join(",");
}

export const resourceClaims = defineKind<ResourceV1ResourceClaim>({
  group: "resource.k8s.io",
  version: "v1",
  kind: "ResourceClaim",
  plural: "resourceclaims",
  namespaced: true,
  schema: "io.k8s.api.resource.v1.ResourceClaim",
  subresources: { status: true },
  columns: [nameColumn, { name: "State", cell: stateText }, ageColumn],
  defaults: ({ spec }) => defaultDevices(spec?.devices),
  prepare: (claim, old) => {
    if (!old) claim.status = {};
    dropUnservedClaimFields(claim.spec?.devices, old?.spec?.devices);
  },
  validate: validateResourceClaim,
});
