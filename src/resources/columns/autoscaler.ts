import { ageColumn, nameColumn } from "#resources/columns/text.ts";
import type { Column } from "#resources/kind.ts";
import type {
  AutoscalingV2HorizontalPodAutoscaler,
  MetricSpec,
  MetricStatus,
  MetricTarget,
  MetricValueStatus,
} from "#resources/types.gen.ts";

const METRICS_SHOWN = 2;
const UNKNOWN = "<unknown>";

/** Of a resource: a quantity, or a percentage of what was asked for. */
function resourceText(
  name: string,
  target: MetricTarget | undefined,
  current: MetricValueStatus | undefined,
): string {
  if (target?.averageValue !== undefined) {
    return `${name}: ${current?.averageValue ?? UNKNOWN}/${target.averageValue}`;
  }
  const percent = (value: number | undefined, missing: string) =>
    value === undefined ? missing : `${value}%`;
  const used = percent(current?.averageUtilization, UNKNOWN);
  return `${name}: ${used}/${percent(target?.averageUtilization, "<auto>")}`;
}

/** Of an object or of something outside the cluster: its value, or the average of one pod. */
function valueText(
  target: MetricTarget | undefined,
  current: MetricValueStatus | undefined,
): string {
  if (target?.averageValue !== undefined) {
    return `${current?.averageValue ?? UNKNOWN}/${target.averageValue} (avg)`;
  }
  return `${current?.value ?? UNKNOWN}/${target?.value ?? ""}`;
}

function metricText(spec: MetricSpec, status: MetricStatus | undefined): string {
  switch (spec.type) {
    case "External":
      return valueText(spec.external?.target, status?.external?.current);
    case "Object":
      return valueText(spec.object?.target, status?.object?.current);
    case "Pods": {
      const current = status?.pods?.current?.averageValue ?? UNKNOWN;
      return `${current}/${spec.pods?.target?.averageValue ?? ""}`;
    }
    case "Resource": {
      const { resource } = spec;
      return resourceText(resource?.name ?? "", resource?.target, status?.resource?.current);
    }
    case "ContainerResource": {
      const resource = spec.containerResource;
      const current = status?.containerResource?.current;
      return resourceText(resource?.name ?? "", resource?.target, current);
    }
    default:
      return "<unknown type>";
  }
}

function targets({ spec, status }: AutoscalingV2HorizontalPodAutoscaler): string {
  const metrics = spec?.metrics ?? [];
  if (metrics.length === 0) return "<none>";
  const texts = metrics.map((metric, index) => metricText(metric, status?.currentMetrics?.[index]));
  const shown = texts.slice(0, METRICS_SHOWN).join(", ");
  const more = texts.length - METRICS_SHOWN;
  return more > 0 ? `${shown} + ${more} more...` : shown;
}

export const autoscalerColumns: Column<AutoscalingV2HorizontalPodAutoscaler>[] = [
  nameColumn,
  {
    name: "Reference",
    cell: ({ spec }) => `${spec?.scaleTargetRef?.kind ?? ""}/${spec?.scaleTargetRef?.name ?? ""}`,
  },
  { name: "Targets", cell: targets },
  { name: "MinPods", cell: ({ spec }) => String(spec?.minReplicas ?? "<unset>") },
  { name: "MaxPods", cell: ({ spec }) => spec?.maxReplicas ?? 0 },
  { name: "Replicas", cell: ({ status }) => status?.currentReplicas ?? 0 },
  ageColumn,
];
