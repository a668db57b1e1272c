/**
 * Tables, as `kubectl get` shows them, and objects cut down to their metadata.
 * https://kubernetes.io/docs/reference/using-api/api-concepts/#receiving-resources-as-tables
 */
import type { Call, Core } from "#api/core.ts";
import { refuse } from "#api/errors.ts";
import { ageColumn, nameColumn } from "#resources/columns/text.ts";
import type { Column } from "#resources/kind.ts";
import type { ApiObject } from "#resources/meta.ts";

export interface PartialMetadata {
  kind: "PartialObjectMetadata";
  apiVersion: "meta.k8s.io/v1";
  metadata: ApiObject["metadata"];
}

export function metadataOf(object: ApiObject): PartialMetadata {
  return {
    kind: "PartialObjectMetadata",
    apiVersion: "meta.k8s.io/v1",
    metadata: object.metadata,
  };
}

const DESCRIPTIONS: Record<string, string> = {
  Name: "Name must be unique within a namespace.",
  Age:
    "CreationTimestamp is a timestamp representing the server time when this object " +
    "was created.",
};

/** A kind's own columns; name and age where it has none. */
export function columnsOf(columns: ReadonlyArray<Column<ApiObject>>): Array<Column<ApiObject>> {
  return columns.length === 0 ? [nameColumn, ageColumn] : [...columns];
}

export interface Table {
  kind: "Table";
  apiVersion: "meta.k8s.io/v1";
  metadata: object;
  columnDefinitions: object[] | null;
  rows: Array<{ cells: Array<string | number | boolean | null>; object?: object | null }>;
}

function definition(column: Column<ApiObject>): object {
  return {
    name: column.name,
    type: column.type ?? "string",
    format: column.format ?? "",
    description: DESCRIPTIONS[column.name] ?? "",
    priority: column.priority ?? 0,
  };
}

function embedded(call: Call, object: ApiObject): object | null {
  const include = call.query.get("includeObject") ?? "";
  switch (include) {
    case "":
    case "Metadata":
      return metadataOf(object);
    case "Object":
      return object;
    case "None":
      return null;
    default:
      throw refuse.badRequest(`unrecognized includeObject value: ${JSON.stringify(include)}`);
  }
}

export function tableOf(
  core: Core,
  call: Call,
  objects: readonly ApiObject[],
  metadata: { resourceVersion?: string; continue?: string; remainingItemCount?: number } = {},
  withColumns = true,
): Table {
  const columns = columnsOf(call.resource.kind.columns);
  const now = core.clock.now();
  const { resourceVersion, continue: next, remainingItemCount } = metadata;
  return {
    kind: "Table",
    apiVersion: "meta.k8s.io/v1",
    metadata: {
      ...(resourceVersion && { resourceVersion }),
      ...(next && { continue: next }),
      ...(remainingItemCount && { remainingItemCount }),
    },
    columnDefinitions: withColumns ? columns.map(definition) : null,
    rows: objects.map((object) => ({
      cells: columns.map((column) => column.cell(object, now)),
      object: embedded(call, object),
    })),
  };
}
