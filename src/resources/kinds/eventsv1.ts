/** events.k8s.io/v1: the same stored objects as core/v1 events under newer names. */
import { eventColumns } from "#resources/columns/event.ts";
import { defineKind } from "#resources/kind.ts";
import { events } from "#resources/kinds/event.ts";
import type { ApiObject } from "#resources/meta.ts";
import type { Event, EventsV1Event } from "#resources/types.gen.ts";

type Names = ReadonlyArray<readonly [string, string]>;

const NAMES: Names = [
  ["regarding", "involvedObject"],
  ["note", "message"],
  ["reportingController", "reportingComponent"],
  ["deprecatedSource", "source"],
  ["deprecatedFirstTimestamp", "firstTimestamp"],
  ["deprecatedLastTimestamp", "lastTimestamp"],
  ["deprecatedCount", "count"],
];
const NAMES_BACK: Names = NAMES.map(([newer, older]) => [older, newer] as const);

/** The object under other names; fields that have one name in both keep it. */
function renamed(object: ApiObject, names: Names, apiVersion: string): ApiObject {
  const map = new Map(names);
  const entries = Object.entries(object).map(([field, value]) => [map.get(field) ?? field, value]);
  return { ...Object.fromEntries(entries), apiVersion, kind: "Event" };
}

const toStored = (event: EventsV1Event): Event => renamed(event, NAMES, "v1") as Event;

const REGARDING = [
  "kind",
  "namespace",
  "name",
  "uid",
  "apiVersion",
  "resourceVersion",
  "fieldPath",
];
const FIELD_NAMES: Record<string, string> = {
  reportingController: "reportingComponent",
  ...Object.fromEntries(
    REGARDING.map((field) => [`regarding.${field}`, `involvedObject.${field}`]),
  ),
};

/** Field selectors by their names in this version. */
function fields(event: EventsV1Event): Record<string, string> {
  const { source: _, reportingComponent = "", ...stored } = events.fields(toStored(event));
  const entries = Object.entries(stored).map(([field, value]) => [
    field.replace("involvedObject.", "regarding."),
    value,
  ]);
  return { ...Object.fromEntries(entries), reportingController: reportingComponent };
}

export const eventsV1Events = defineKind<EventsV1Event>({
  group: "events.k8s.io",
  version: "v1",
  kind: "Event",
  plural: "events",
  namespaced: true,
  schema: "io.k8s.api.events.v1.Event",
  shortNames: ["ev"],
  columns: eventColumns.map((column) => ({
    ...column,
    cell: (event, now) => column.cell(toStored(event), now),
  })),
  fields,
  storedAs: {
    group: "",
    version: "v1",
    toStored,
    fromStored: (event) => renamed(event, NAMES_BACK, "events.k8s.io/v1") as EventsV1Event,
    fieldNames: FIELD_NAMES,
  },
});
