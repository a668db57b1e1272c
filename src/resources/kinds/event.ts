import { eventColumns } from "#resources/columns/event.ts";
import { defineKind } from "#resources/kind.ts";
import type { Event } from "#resources/types.gen.ts";
import { validateEvent } from "#resources/validate/event.ts";

function eventFields(event: Event): Record<string, string> {
  const object = event.involvedObject ?? {};
  return {
    "involvedObject.kind": object.kind ?? "",
    "involvedObject.namespace": object.namespace ?? "",
    "involvedObject.name": object.name ?? "",
    "involvedObject.uid": object.uid ?? "",
    "involvedObject.apiVersion": object.apiVersion ?? "",
    "involvedObject.resourceVersion": object.resourceVersion ?? "",
    "involvedObject.fieldPath": object.fieldPath ?? "",
    reason: event.reason ?? "",
    reportingComponent: event.reportingComponent ?? "",
    source: event.source?.component || event.reportingComponent || "",
    type: event.type ?? "",
  };
}

export const events = defineKind<Event>({
  group: "",
  version: "v1",
  kind: "Event",
  plural: "events",
  namespaced: true,
  schema: "io.k8s.api.core.v1.Event",
  shortNames: ["ev"],
  columns: eventColumns,
  fields: eventFields,
  validate: validateEvent,
});
