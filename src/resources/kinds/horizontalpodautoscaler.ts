import { autoscalerColumns } from "#resources/columns/autoscaler.ts";
import { defaultAutoscaler } from "#resources/defaults/autoscaler.ts";
import { defineKind } from "#resources/kind.ts";

import type { AutoscalingV2HorizontalPodAutoscaler } from "#resources/types.gen.ts";
import { validateAutoscaler } from "#resources/validate/autoscaler.ts";

/** How far off a metric may be is the controller's to choose. */
function dropTolerance(
  { spec }: AutoscalingV2HorizontalPodAutoscaler,
  old: AutoscalingV2HorizontalPodAutoscaler | undefined,
): void {
  const { scaleUp, scaleDown } = old?.spec?.behavior ?? {};
  if (scaleUp?.tolerance ?? scaleDown?.tolerance) return;
  delete spec?.behavior?.scaleUp?.tolerance;
  delete spec?.behavior?.scaleDown?.tolerance;
}

export const horizontalPodAutoscalers = defineKind<AutoscalingV2HorizontalPodAutoscaler>({
  group: "autoscaling",
  version: "v2",
  kind: "HorizontalPodAutoscaler",
  plural: "horizontalpodautoscalers",
  namespaced: true,
  schema: "io.k8s.api.autoscaling.v2.HorizontalPodAutoscaler",
  shortNames: ["hpa"],
  categories: ["all"],
  subresources: { status: true },
  columns: autoscalerColumns,
  defaults: (autoscaler) => {
    autoscaler.spec ??= { maxReplicas: 0, scaleTargetRef: { kind: "", name: "" } };
    defaultAutoscaler(autoscaler.spec);
  },
  prepare: (autoscaler, old) => {
    if (!old) autoscaler.status = { currentMetrics: [], desiredReplicas: 0 };
    dropTolerance(autoscaler, old);
  },
  validate: validateAutoscaler,
});
