/** Pods. */
import {
  type Describe,
  describeEvents,
  describeName,
  describeOwner,
} from "#cli/describe/common.ts";
import { describeContainers } from "#cli/describe/containers.ts";
import { tolerationLines } from "#cli/describe/template.ts";
import { describeVolumes } from "#cli/describe/volumes.ts";
import { annotationLines, pairLines, timeText, type Writer } from "#cli/describe/writer.ts";
import { evaluatePath, valueText } from "#cli/jsonpath/evaluate.ts";
import { parsePath } from "#cli/jsonpath/parse.ts";
import type { Stored } from "#resources/meta.ts";
import type { Pod } from "#resources/types.gen.ts";

function describeState(writer: Writer, { metadata, status }: Stored<Pod>): void {
  const { deletionTimestamp, deletionGracePeriodSeconds } = metadata;
  if (deletionTimestamp !== undefined) {
    writer.field(0, "Status", `Terminating (since ${timeText(deletionTimestamp)})`);
    writer.field(0, "Termination Grace Period", `${deletionGracePeriodSeconds ?? 0}s`);
  } else {
    writer.field(0, "Status", status?.phase ?? "");
  }
  if (status?.reason) writer.field(0, "Reason", status.reason);
  if (status?.message) writer.field(0, "Message", status.message);
}

function describeHead(writer: Writer, pod: Stored<Pod>): void {
  const { metadata, spec, status } = pod;
  describeName(writer, pod);
  writer.field(0, "Priority", String(spec?.priority ?? 0));
  if (spec?.priorityClassName) writer.field(0, "Priority Class Name", spec.priorityClassName);
  if (spec?.runtimeClassName) writer.field(0, "Runtime Class Name", spec.runtimeClassName);
  if (spec?.serviceAccountName) writer.field(0, "Service Account", spec.serviceAccountName);
  const where = spec?.nodeName ? `${spec.nodeName}/${status?.hostIP ?? ""}` : "<none>";
  writer.field(0, "Node", where);
  if (status?.startTime) writer.field(0, "Start Time", timeText(status.startTime));
  writer.field(0, "Labels", pairLines(metadata.labels));
  writer.field(0, "Annotations", annotationLines(metadata.annotations));
  describeState(writer, pod);
  writer.field(0, "IP", status?.podIP ?? "");
  const ips = (status?.podIPs ?? []).map(({ ip }) => ip ?? "");
  if (ips.length === 0) writer.field(0, "IPs", "<none>");
  else {
    writer.line(0, "IPs:");
    for (const ip of ips) writer.field(1, "IP", ip);
  }
  describeOwner(writer, pod);
  if (status?.nominatedNodeName) writer.field(0, "NominatedNodeName", status.nominatedNodeName);
}

export const describePod: Describe<Stored<Pod>> = async (writer, pod, session) => {
  const { spec, status } = pod;
  const fieldOf = (path: string): string => {
    const steps = parsePath(path);
    return evaluatePath(steps, [pod], pod).map(valueText).join(",");
  };
  describeHead(writer, pod);
  describeContainers(writer, {
    label: "Init Containers",
    containers: spec?.initContainers,
    statuses: status?.initContainerStatuses,
    inTemplate: false,
    fieldOf,
  });
  describeContainers(writer, {
    label: "Containers",
    containers: spec?.containers,
    statuses: status?.containerStatuses,
    inTemplate: false,
    fieldOf,
  });
  describeContainers(writer, {
    label: "Ephemeral Containers",
    containers: spec?.ephemeralContainers,
    statuses: status?.ephemeralContainerStatuses,
    inTemplate: false,
    fieldOf,
  });
  const conditions = status?.conditions ?? [];
  if (conditions.length > 0) {
    // Upstream has a space behind each cell.
    const rows = conditions.map((each) => [`${each.type} `, `${each.status} `]);
    writer.line(0, "Conditions:").table(1, [["Type", "Status"], ...rows]);
  }
  describeVolumes(writer, spec?.volumes, false);
  if (status?.qosClass) writer.field(0, "QoS Class", status.qosClass);
  writer.field(0, "Node-Selectors", pairLines(spec?.nodeSelector));
  writer.field(0, "Tolerations", tolerationLines(spec?.tolerations));
  await describeEvents(writer, pod, session);
};
