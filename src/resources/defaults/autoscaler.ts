/** Defaults of autoscalers (Kubernetes API reference, HorizontalPodAutoscaler v2). */
import type {
  AutoscalingV2HorizontalPodAutoscalerSpec,
  HPAScalingRules,
} from "#resources/types.gen.ts";

type Spec = AutoscalingV2HorizontalPodAutoscalerSpec;

const PERIOD_SECONDS = 15;
export const CPU_PERCENT = 80;

export const cpuMetric = (averageUtilization: number) => ({
  type: "Resource",
  resource: { name: "cpu", target: { type: "Utilization", averageUtilization } },
});

const scaleUp = (): HPAScalingRules => ({
  stabilizationWindowSeconds: 0,
  selectPolicy: "Max",
  policies: [
    { type: "Pods", value: 4, periodSeconds: PERIOD_SECONDS },
    { type: "Percent", value: 100, periodSeconds: PERIOD_SECONDS },
  ],
});

/** Its window is the controller's to choose. */
const scaleDown = (): HPAScalingRules => ({
  selectPolicy: "Max",
  policies: [{ type: "Percent", value: 100, periodSeconds: PERIOD_SECONDS }],
});

export function defaultAutoscaler(spec: Spec): void {
  spec.minReplicas ??= 1;
  if ((spec.metrics ?? []).length === 0) spec.metrics = [cpuMetric(CPU_PERCENT)];
  if (!spec.behavior) return;
  spec.behavior.scaleUp = { ...scaleUp(), ...spec.behavior.scaleUp };
  spec.behavior.scaleDown = { ...scaleDown(), ...spec.behavior.scaleDown };
}
