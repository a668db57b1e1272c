/**
 * The shape of objects as OpenAPI v3 schema nodes: of the built-in kinds from the generated table,
 * of custom resources from their definitions. One form, one path.
 */
import tableText from "#resources/schema.gen.json" with { type: "text" };

export interface Schema {
  $ref?: string;
  type?: "object" | "array" | "string" | "integer" | "number" | "boolean";
  format?: string;
  properties?: Record<string, Schema>;
  required?: string[];
  items?: Schema;
  additionalProperties?: Schema | boolean;
  default?: unknown;
  nullable?: boolean;
  enum?: unknown[];
  "x-kubernetes-list-type"?: "atomic" | "set" | "map";
  "x-kubernetes-list-map-keys"?: string[];
  "x-kubernetes-map-type"?: "atomic" | "granular";
  "x-kubernetes-patch-merge-key"?: string;
  "x-kubernetes-patch-strategy"?: string;
  "x-kubernetes-preserve-unknown-fields"?: boolean;
  "x-kubernetes-int-or-string"?: boolean;
  "x-kubernetes-embedded-resource"?: boolean;
  "x-kubernetes-group-version-kind"?: Array<{ group: string; version: string; kind: string }>;
}

let table: Record<string, Schema> | undefined;

/** All definitions by their full name, as `io.k8s.api.core.v1.Pod`. Parsed on first use. */
export function definitions(): Record<string, Schema> {
  table ??= JSON.parse(tableText as unknown as string) as Record<string, Schema>;
  return table;
}

/** The schema that a node stands for: itself, or the definition that it names. */
export function resolve(schema: Schema): Schema {
  return schema.$ref === undefined ? schema : (definitions()[schema.$ref] ?? {});
}
