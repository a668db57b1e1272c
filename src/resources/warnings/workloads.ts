/** Warnings of what makes pods: of the template when it is new or changed, and of the rest. */
import type {
  DaemonSet,
  Deployment,
  PodTemplate,
  ReplicaSet,
  ReplicationController,
  StatefulSet,
} from "#resources/types.gen.ts";
import { claimSpecWarnings } from "#resources/warnings/amounts.ts";
import { isChanged, newName } from "#resources/warnings/changed.ts";
import { templateWarnings } from "#resources/warnings/pod.ts";

type Holder = Deployment | ReplicaSet | ReplicationController;

export const workloadWarnings = (object: Holder, old: Holder | undefined): string[] => [
  ...newName(object, old),
  ...(isChanged(object, old) ? templateWarnings(object.spec?.template, "spec.template") : []),
];

export const daemonSetWarnings = (object: DaemonSet, old: DaemonSet | undefined): string[] =>
  isChanged(object, old) ? templateWarnings(object.spec?.template, "spec.template") : [];

export const podTemplateWarnings = (object: PodTemplate, old: PodTemplate | undefined): string[] =>
  isChanged(object, old) ? templateWarnings(object.template, "template") : [];

export function statefulSetWarnings(object: StatefulSet, old: StatefulSet | undefined): string[] {
  const { volumeClaimTemplates = [], revisionHistoryLimit = 0 } = object.spec ?? {};
  // Upstream's own path is another one when the object changes.
  const tail = old === undefined ? "" : ".Spec";
  const negative =
    "spec.revisionHistoryLimit: a negative value retains all historical revisions; " +
    "a value >= 0 is recommended";
  return [
    ...(isChanged(object, old) ? templateWarnings(object.spec?.template, "spec.template") : []),
    ...volumeClaimTemplates.flatMap(({ spec }, at) =>
      claimSpecWarnings(spec, `spec.volumeClaimTemplates[${at}]${tail}`),
    ),
    ...(revisionHistoryLimit < 0 ? [negative] : []),
  ];
}
