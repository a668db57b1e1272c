import { ageColumn, nameColumn } from "#resources/columns/text.ts";
import { defineKind } from "#resources/kind.ts";
import type { PriorityLevelConfiguration } from "#resources/types.gen.ts";
import { validatePriorityLevel } from "#resources/validate/flowcontrol.ts";

const queuing = (level: PriorityLevelConfiguration) => level.spec?.limited?.limitResponse?.queuing;

export const priorityLevelConfigurations = defineKind<PriorityLevelConfiguration>({
  group: "flowcontrol.apiserver.k8s.io",
  version: "v1",
  kind: "PriorityLevelConfiguration",
  plural: "prioritylevelconfigurations",
  namespaced: false,
  schema: "io.k8s.api.flowcontrol.v1.PriorityLevelConfiguration",
  subresources: { status: true },
  generation: true,
  columns: [
    nameColumn,
    { name: "Type", cell: ({ spec }) => spec?.type ?? "" },
    {
      name: "NominalConcurrencyShares",
      cell: ({ spec }) => spec?.limited?.nominalConcurrencyShares ?? "<none>",
    },
    { name: "Queues", cell: (level) => queuing(level)?.queues ?? "<none>" },
    { name: "HandSize", cell: (level) => queuing(level)?.handSize ?? "<none>" },
    { name: "QueueLengthLimit", cell: (level) => queuing(level)?.queueLengthLimit ?? "<none>" },
    ageColumn,
  ],
  defaults: (level) => {
    const { spec } = level;
    if (spec?.exempt) {
      spec.exempt.nominalConcurrencyShares ??= 0;
      spec.exempt.lendablePercent ??= 0;
    }
    if (spec?.limited) {
      spec.limited.nominalConcurrencyShares ??= 30;
      spec.limited.lendablePercent ??= 0;
    }
    const queues = queuing(level);
    if (!queues) return;
    queues.handSize ||= 8;
    queues.queues ||= 64;
    queues.queueLengthLimit ||= 50;
  },
  prepare: (level, old) => {
    if (!old) level.status = {};
  },
  validate: validatePriorityLevel,
});
