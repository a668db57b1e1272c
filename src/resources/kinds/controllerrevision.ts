import { ageColumn, nameColumn } from "#resources/columns/text.ts";
import { defineKind } from "#resources/kind.ts";
import { controllerOf } from "#resources/meta.ts";
import type { ControllerRevision } from "#resources/types.gen.ts";
import { validateControllerRevision } from "#resources/validate/apps.ts";

/** `daemonset.apps/name`. */
function controllerText(revision: ControllerRevision): string {
  const owner = controllerOf(revision);
  if (!owner) return "<none>";
  const [group = "", version] = owner.apiVersion.split("/");
  const kind = version === undefined ? owner.kind : `${owner.kind}.${group}`;
  return `${kind.toLowerCase()}/${owner.name}`;
}

export const controllerRevisions = defineKind<ControllerRevision>({
  group: "apps",
  version: "v1",
  kind: "ControllerRevision",
  plural: "controllerrevisions",
  namespaced: true,
  schema: "io.k8s.api.apps.v1.ControllerRevision",
  columns: [
    nameColumn,
    { name: "Controller", cell: controllerText },
    { name: "Revision", cell: (revision) => revision.revision ?? 0 },
    ageColumn,
  ],
  validate: validateControllerRevision,
});
