/** autoscaling/v1: the CPU-only form of the autoscalers stored as autoscaling/v2. */
import { autoscalerColumns } from "#resources/columns/autoscaler.ts";
import { autoscalerToNew, autoscalerToOld } from "#resources/convert/autoscaler.ts";
import { defineKind } from "#resources/kind.ts";
import type {
  AutoscalingV2HorizontalPodAutoscaler,
  HorizontalPodAutoscaler,
} from "#resources/types.gen.ts";

export const horizontalPodAutoscalersV1 = defineKind<HorizontalPodAutoscaler>({
  group: "autoscaling",
  version: "v1",
  kind: "HorizontalPodAutoscaler",
  plural: "horizontalpodautoscalers",
  namespaced: true,
  schema: "io.k8s.api.autoscaling.v1.HorizontalPodAutoscaler",
  shortNames: ["hpa"],
  categories: ["all"],
  subresources: { status: true },
  columns: autoscalerColumns.map((column) => ({
    ...column,
    cell: (autoscaler, now) => column.cell(autoscalerToNew(autoscaler), now),
  })),
  defaults: (autoscaler) => {
    autoscaler.spec ??= { maxReplicas: 0, scaleTargetRef: { kind: "", name: "" } };
    autoscaler.spec.minReplicas ??= 1;
  },
  storedAs: {
    group: "autoscaling",
    version: "v2",
    toStored: autoscalerToNew,
    fromStored: (object) => autoscalerToOld(object as AutoscalingV2HorizontalPodAutoscaler),
  },
});
