/** What descriptions of all kinds share: their heads and their events. */
import { annotationLines, pairLines, type Writer } from "#cli/describe/writer.ts";
import { lastSeen, lastTime } from "#cli/eventtext.ts";
import type { Session } from "#cli/session.ts";
import { listAll } from "#cli/targets.ts";
import { pathOf } from "#client/http.ts";
import { events } from "#resources/kinds/event.ts";
import { pods } from "#resources/kinds/pod.ts";
import { controllerOf, type Stored } from "#resources/meta.ts";
import { labelSelectorText } from "#resources/selector.ts";
import type { Event, LabelSelector, Pod } from "#resources/types.gen.ts";

/** How one kind is described. What it needs beside the object it asks for itself. */
export type Describe<T extends Stored = Stored> = (
  writer: Writer,
  object: T,
  session: Session,
) => Promise<void> | void;

export function describeName(writer: Writer, { metadata }: Stored): void {
  writer.field(0, "Name", metadata.name);
  if (metadata.namespace !== undefined) writer.field(0, "Namespace", metadata.namespace);
}

export function describeLabels(writer: Writer, { metadata }: Stored): void {
  writer.field(0, "Labels", pairLines(metadata.labels));
  writer.field(0, "Annotations", annotationLines(metadata.annotations));
}

export function describeOwner(writer: Writer, object: Stored): void {
  const owner = controllerOf(object);
  if (owner !== undefined) writer.field(0, "Controlled By", `${owner.kind}/${owner.name}`);
}

export function selectorText(selector: LabelSelector | undefined): string {
  return labelSelectorText(selector ?? {}) || "<none>";
}

/** The object's events, the oldest first, below their heads. */
export async function describeEvents(writer: Writer, object: Stored, session: Session) {
  const { name, namespace, uid } = object.metadata;
  const about: Record<string, string | undefined> = {
    "involvedObject.name": name,
    "involvedObject.namespace": namespace,
    "involvedObject.kind": object.kind,
    // A node's kubelet does not know the object's uid, and gives its name.
    ...(object.kind !== "Node" && { "involvedObject.uid": uid }),
  };
  const fieldSelector = Object.entries(about)
    .filter(([, value]) => value !== undefined)
    .map(([key, value]) => `${key}=${value}`)
    .join(",");
  const path = pathOf(events, namespace === undefined ? {} : { namespace });
  const { items } = await listAll(session, path, { fieldSelector });
  const found = (items as Stored<Event>[]).sort((a, b) => lastTime(a) - lastTime(b));
  if (found.length === 0) {
    writer.field(0, "Events", "<none>");
    return;
  }
  writer.line(0, "Events:");
  const rows = found.map((event) => [
    event.type ?? "",
    event.reason ?? "",
    lastSeen(event, session.io.now()),
    event.source?.component || event.reportingComponent || "",
    (event.message ?? "").trim(),
  ]);
  writer.table(1, [
    ["Type", "Reason", "Age", "From", "Message"],
    ["----", "------", "----", "----", "-------"],
    ...rows,
  ]);
}

/** Pods of a workload, by their state. */
export async function describePodCounts(
  writer: Writer,
  session: Session,
  owner: Stored,
  selector: LabelSelector | undefined,
): Promise<void> {
  const path = pathOf(pods, { namespace: owner.metadata.namespace });
  const labelSelector = labelSelectorText(selector ?? {});
  const { items } = await listAll(session, path, { labelSelector });
  const own = (items as Stored<Pod>[]).filter((p) => controllerOf(p)?.uid === owner.metadata.uid);
  const count = (phase: string): number => own.filter((p) => p.status?.phase === phase).length;
  const states = `${count("Running")} Running / ${count("Pending")} Waiting`;
  const ends = `${count("Succeeded")} Succeeded / ${count("Failed")} Failed`;
  writer.field(0, "Pods Status", `${states} / ${ends}`);
}
