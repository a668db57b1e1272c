import {
  ageColumn,
  containerColumns,
  labelsText,
  nameColumn,
  selectorOrNone,
} from "#resources/columns/text.ts";
import { defaultTemplate } from "#resources/defaults/podspec.ts";
import { sameField } from "#resources/equal.ts";
import type { Column } from "#resources/kind.ts";
import { defineKind } from "#resources/kind.ts";
import { dropUnservedTemplateFields } from "#resources/podfields.ts";
import type { DaemonSet, DaemonSetSpec } from "#resources/types.gen.ts";
import { validateDaemonSet } from "#resources/validate/apps.ts";
import { daemonSetWarnings } from "#resources/warnings/workloads.ts";

const SPEC = "io.k8s.api.apps.v1.DaemonSetSpec";
const GENERATION = "deprecated.daemonset.template.generation";

/** Counts changes of the template; kept as an annotation since apps/v1 has no field for it. */
function templateGeneration(set: DaemonSet, old: DaemonSet | undefined): number {
  const generation = Number((old ?? set).metadata?.annotations?.[GENERATION] ?? "1");
  const changed = old && !sameField(SPEC, "template", old.spec, set.spec);
  return Math.max(Number.isInteger(generation) ? generation : 1, 1) + (changed ? 1 : 0);
}

const counts: Column<DaemonSet>[] = [
  {
    name: "Desired",
    type: "integer",
    cell: ({ status }) => status?.desiredNumberScheduled ?? 0,
  },
  {
    name: "Current",
    type: "integer",
    cell: ({ status }) => status?.currentNumberScheduled ?? 0,
  },
  { name: "Ready", type: "integer", cell: ({ status }) => status?.numberReady ?? 0 },
  {
    name: "Up-to-date",
    type: "integer",
    cell: ({ status }) => status?.updatedNumberScheduled ?? 0,
  },
  { name: "Available", type: "integer", cell: ({ status }) => status?.numberAvailable ?? 0 },
];

export const daemonSets = defineKind<DaemonSet>({
  group: "apps",
  version: "v1",
  kind: "DaemonSet",
  plural: "daemonsets",
  namespaced: true,
  schema: "io.k8s.api.apps.v1.DaemonSet",
  shortNames: ["ds"],
  categories: ["all"],
  subresources: { status: true },
  generation: true,
  columns: [
    nameColumn,
    ...counts,
    {
      name: "Node Selector",
      cell: ({ spec }) => labelsText(spec?.template?.spec?.nodeSelector),
    },
    ageColumn,
    ...containerColumns<DaemonSet>(({ spec }) => spec?.template),
    { name: "Selector", priority: 1, cell: ({ spec }) => selectorOrNone(spec?.selector) },
  ],
  defaults: (set) => {
    set.spec ??= {} as DaemonSetSpec;
    const { spec } = set;
    spec.updateStrategy ??= {};
    spec.updateStrategy.type ||= "RollingUpdate";
    if (spec.updateStrategy.type === "RollingUpdate") {
      spec.updateStrategy.rollingUpdate ??= {};
      spec.updateStrategy.rollingUpdate.maxUnavailable ??= 1;
      spec.updateStrategy.rollingUpdate.maxSurge ??= 0;
    }
    spec.revisionHistoryLimit ??= 10;
    defaultTemplate(spec);
  },
  prepare: (set, old) => {
    dropUnservedTemplateFields(set, old);
    const generation = templateGeneration(set, old);
    set.metadata ??= {};
    set.metadata.annotations = { ...set.metadata.annotations, [GENERATION]: String(generation) };
    if (old) return;
    set.status = {
      currentNumberScheduled: 0,
      numberMisscheduled: 0,
      desiredNumberScheduled: 0,
      numberReady: 0,
    };
  },
  validate: validateDaemonSet,
  warnings: daemonSetWarnings,
});
