import { age } from "#resources/columns/text.ts";
import type { Column } from "#resources/kind.ts";
import type { Event } from "#resources/types.gen.ts";

function firstSeen(event: Event, now: number): string {
  return age(event.firstTimestamp || event.eventTime, now);
}

function lastSeen(event: Event, now: number): string {
  if (event.series) return age(event.series.lastObservedTime, now);
  return event.lastTimestamp ? age(event.lastTimestamp, now) : firstSeen(event, now);
}

function target(event: Event): string {
  const kind = (event.involvedObject?.kind ?? "").toLowerCase();
  const name = event.involvedObject?.name;
  return name ? `${kind}/${name}` : kind;
}

function source(event: Event): string {
  const component = event.source?.component || event.reportingComponent || "";
  const instance = event.source?.host || event.reportingInstance;
  return instance ? `${component}, ${instance}` : component;
}

export const eventColumns: Column<Event>[] = [
  { name: "Last Seen", cell: lastSeen },
  { name: "Type", cell: (event) => event.type ?? "" },
  { name: "Reason", cell: (event) => event.reason ?? "" },
  { name: "Object", cell: target },
  { name: "Subobject", priority: 1, cell: (event) => event.involvedObject?.fieldPath ?? "" },
  { name: "Source", priority: 1, cell: source },
  { name: "Message", cell: (event) => (event.message ?? "").trim() },
  { name: "First Seen", priority: 1, cell: firstSeen },
  {
    name: "Count",
    priority: 1,
    // A single event has no count in the newer API.
    cell: (event) => (event.series ? event.series.count : event.count || 1) ?? 0,
  },
  {
    name: "Name",
    priority: 1,
    format: "name",
    cell: (event) => event.metadata?.name ?? "",
  },
];
