/**
 * From a custom resource definition to kinds like the built-in ones: more data, the same path.
 * Pure.
 */
import { compileJsonPath } from "#api/custom/jsonpath.ts";
import { valueCauses } from "#api/custom/values.ts";
import { age, ageColumn, nameColumn } from "#resources/columns/text.ts";
import type { Cause } from "#resources/field.ts";
import { type Column, defineKind, type Kind } from "#resources/kind.ts";
import type { ApiObject } from "#resources/meta.ts";
import type { Schema } from "#resources/schema.ts";
import { applySchemaDefaults } from "#resources/shape.ts";
import type {
  CustomResourceColumnDefinition,
  CustomResourceDefinition,
  CustomResourceDefinitionVersion,
  JSONSchemaProps,
} from "#resources/types.gen.ts";
import { finalizerWarnings } from "#resources/warnings/definitions.ts";

const META = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta";

/** The schema with what every object has. */
function schemaOf(version: CustomResourceDefinitionVersion): Schema {
  const given = (version.schema?.openAPIV3Schema ?? {}) as Schema;
  return {
    ...given,
    type: "object",
    properties: {
      ...given.properties,
      apiVersion: { type: "string" },
      kind: { type: "string" },
      metadata: { $ref: META },
    },
  };
}

type Cell = string | number | boolean | null;

function cellOf(type: string, values: readonly unknown[], now: number): Cell {
  const [value] = values;
  if (value === undefined || value === null) return null;
  if (type === "date") return age(String(value), now);
  if (type === "integer" || type === "number") {
    const number = Number(value);
    return Number.isNaN(number) ? null : number;
  }
  if (type === "boolean") return typeof value === "boolean" ? value : value === "true";
  return typeof value === "object" ? JSON.stringify(value) : values.map(String).join(",");
}

function columnOf(given: CustomResourceColumnDefinition): Column<ApiObject> {
  const path = compileJsonPath(given.jsonPath);
  return {
    name: given.name,
    type: given.type as NonNullable<Column<ApiObject>["type"]>,
    ...(given.format && { format: given.format }),
    priority: (given.priority ?? 0) > 0 ? 1 : 0,
    cell: (object, now) => cellOf(given.type, path(object), now),
  };
}

function columnsOf(version: CustomResourceDefinitionVersion): Array<Column<ApiObject>> {
  const own = version.additionalPrinterColumns ?? [];
  if (own.length === 0) return [nameColumn, ageColumn];
  return [nameColumn, ...own.map(columnOf)];
}

type Fields = (object: ApiObject) => Record<string, string>;

function fieldsOf(version: CustomResourceDefinitionVersion): Fields {
  const paths = (version.selectableFields ?? []).map(
    ({ jsonPath }) => [jsonPath.replace(/^\./, ""), compileJsonPath(jsonPath)] as const,
  );
  return (object) =>
    Object.fromEntries(
      paths.map(([name, path]) => {
        const [value] = path(object);
        return [name, value === undefined || value === null ? "" : String(value)];
      }),
    );
}

/** Rules in CEL, compiled when the definition was made. */
export type Rules = (object: ApiObject, old: ApiObject | undefined) => Promise<Cause[]>;

export interface VersionKind {
  readonly kind: Kind;
  readonly served: boolean;
  readonly storage: boolean;
  readonly deprecation: string | undefined;
  /** Whether objects that are older than a default must get it when read. */
  readonly hasDefaults: boolean;
}

function deprecationOf(
  definition: CustomResourceDefinition,
  version: CustomResourceDefinitionVersion,
): string | undefined {
  if (version.deprecated !== true) return undefined;
  const { group, names } = definition.spec;
  return version.deprecationWarning ?? `${group}/${version.name} ${names.kind} is deprecated`;
}

const containsDefault = (schema: unknown): boolean =>
  JSON.stringify(schema ?? {}).includes('"default":');

/** One kind for each version. `rules` answers the CEL rules of one version. */
export function kindsOf(
  definition: CustomResourceDefinition,
  rules: (version: CustomResourceDefinitionVersion) => Rules,
): VersionKind[] {
  const { spec } = definition;
  const storage = spec.versions.find((version) => version.storage);
  return spec.versions.map((version) => {
    const { names } = spec;
    const schema = schemaOf(version);
    const values = (version.schema?.openAPIV3Schema ?? {}) as JSONSchemaProps;
    const check = rules(version);
    const scale = version.subresources?.scale;
    const kind = defineKind<ApiObject>({
      group: spec.group,
      version: version.name,
      kind: names.kind,
      plural: names.plural,
      singular: names.singular ?? names.kind.toLowerCase(),
      listKind: names.listKind ?? `${names.kind}List`,
      shortNames: names.shortNames ?? [],
      categories: names.categories ?? [],
      namespaced: spec.scope === "Namespaced",
      schema,
      generation: true,
      subresources: {
        status: version.subresources?.status !== undefined,
        ...(scale !== undefined && {
          scale: {
            specReplicas: scale.specReplicasPath,
            statusReplicas: scale.statusReplicasPath,
            ...(scale.labelSelectorPath && { selector: scale.labelSelectorPath }),
          },
        }),
      },
      columns: columnsOf(version),
      defaults: (object) => applySchemaDefaults(object, schema),
      fields: fieldsOf(version),
      validate: (object, old) => valueCauses(values, object, old),
      warnings: finalizerWarnings,
      rules: check,
      ...(!version.storage &&
        storage !== undefined && {
          storedAs: {
            group: spec.group,
            version: storage.name,
            toStored: (object: ApiObject) => object,
            fromStored: (object: ApiObject) => object,
          },
        }),
    });
    return {
      kind,
      served: version.served,
      storage: version.storage,
      deprecation: deprecationOf(definition, version),
      hasDefaults: containsDefault(version.schema?.openAPIV3Schema),
    };
  });
}
