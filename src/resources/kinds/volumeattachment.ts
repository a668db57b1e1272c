import { ageColumn, nameColumn } from "#resources/columns/text.ts";
import { canonicalResources } from "#resources/defaults/resources.ts";
import { defaultVendor } from "#resources/defaults/volume.ts";
import { defineKind } from "#resources/kind.ts";
import type { VolumeAttachment } from "#resources/types.gen.ts";
import { validateVolumeAttachment } from "#resources/validate/storage.ts";

export const volumeAttachments = defineKind<VolumeAttachment>({
  group: "storage.k8s.io",
  version: "v1",
  kind: "VolumeAttachment",
  plural: "volumeattachments",
  namespaced: false,
  schema: "io.k8s.api.storage.v1.VolumeAttachment",
  subresources: { status: true },
  columns: [
    nameColumn,
    { name: "Attacher", format: "name", cell: ({ spec }) => spec?.attacher ?? "" },
    { name: "PV", cell: ({ spec }) => spec?.source?.persistentVolumeName ?? "" },
    { name: "Node", cell: ({ spec }) => spec?.nodeName ?? "" },
    { name: "Attached", type: "boolean", cell: ({ status }) => status?.attached ?? false },
    ageColumn,
  ],
  defaults: ({ spec }) => {
    const inline = spec?.source?.inlineVolumeSpec;
    if (!inline) return;
    canonicalResources(inline.capacity);
    if (inline.hostPath) inline.hostPath.type ??= "";
    defaultVendor(inline);
  },
  prepare: (attachment, old) => {
    if (!old) attachment.status = { attached: false };
  },
  validate: validateVolumeAttachment,
});
