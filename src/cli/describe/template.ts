/** A pod template, as workloads and their history show it. */
import { describeContainers } from "#cli/describe/containers.ts";
import { describeVolumes } from "#cli/describe/volumes.ts";
import { annotationLines, pairLines, Writer } from "#cli/describe/writer.ts";
import { elastic } from "#cli/elastic.ts";
import type { PodTemplateSpec, Toleration } from "#resources/types.gen.ts";

export function tolerationLines(tolerations: readonly Toleration[] | undefined): string[] {
  return (tolerations ?? []).map(({ key = "", operator, value, effect, tolerationSeconds }) => {
    const pair = value ? `${key}=${value}` : key;
    const exists = operator === "Exists" && !value ? (key === "" ? "op=Exists" : " op=Exists") : "";
    const seconds = tolerationSeconds === undefined ? "" : ` for ${tolerationSeconds}s`;
    return `${pair}${effect ? `:${effect}` : ""}${exists}${seconds}`;
  });
}

export function describeTemplate(writer: Writer, template: PodTemplateSpec | undefined): void {
  const { metadata, spec } = template ?? {};
  writer.line(0, "Pod Template:");
  writer.field(1, "Labels", pairLines(metadata?.labels));
  const annotations = annotationLines(metadata?.annotations);
  if (annotations.length > 0) writer.field(1, "Annotations", annotations);
  if (spec?.serviceAccountName) writer.field(1, "Service Account", spec.serviceAccountName);
  const init = { label: "Init Containers", containers: spec?.initContainers, inTemplate: true };
  describeContainers(writer, init);
  const main = { label: "Containers", containers: spec?.containers, inTemplate: true };
  describeContainers(writer, main);
  describeVolumes(writer, spec?.volumes, true);
  if (spec?.priorityClassName) writer.field(1, "Priority Class Name", spec.priorityClassName);
  writer.field(1, "Node-Selectors", pairLines(spec?.nodeSelector));
  writer.field(1, "Tolerations", tolerationLines(spec?.tolerations));
}

export function podTemplateText(template: PodTemplateSpec): string {
  const writer = new Writer();
  describeTemplate(writer, template);
  return `${elastic(writer.text)}\n`;
}
