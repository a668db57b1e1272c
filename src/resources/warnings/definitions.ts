/** Warnings of custom resources and of what defines them. */
import type { ApiObject } from "#resources/meta.ts";
import type { CustomResourceDefinition, JSONSchemaProps } from "#resources/types.gen.ts";
import { qualifiedNameErrors } from "#resources/validate/text.ts";

const STANDARD = new Set(["orphan", "foregroundDeletion", "kubernetes"]);

function finalizerProblems(name: string): string[] {
  const problems = qualifiedNameErrors(name);
  if (name.includes("/") || STANDARD.has(name)) return problems;
  const path = name.includes(".") ? " including a path (/)" : "";
  const why = "to avoid accidental conflicts with other finalizer writers";
  return [...problems, `prefer a domain-qualified finalizer name${path} ${why}`];
}

/** Of finalizers that are new. */
export function finalizerWarnings(object: ApiObject, old: ApiObject | undefined): string[] {
  const before = new Set(old?.metadata?.finalizers ?? []);
  const added = new Set((object.metadata?.finalizers ?? []).filter((name) => !before.has(name)));
  return [...added]
    .sort()
    .flatMap((name) =>
      finalizerProblems(name).map((why) => `metadata.finalizers: "${name}": ${why}`),
    );
}

/** Without dashes, as they are looked up. */
const FORMATS = new Set([
  ...["bsonobjectid", "uri", "email", "hostname", "ipv4", "ipv6", "cidr", "mac", "uuid", "uuid3"],
  ...["uuid4", "uuid5", "isbn", "isbn10", "isbn13", "creditcard", "ssn", "hexcolor", "rgbcolor"],
  ...["byte", "password", "date", "duration", "datetime", "k8sshortname", "k8slongname"],
]);

/** All schemas below one, and itself. */
function* schemasIn(schema: JSONSchemaProps): Generator<JSONSchemaProps> {
  yield schema;
  const { items, additionalProperties, additionalItems, not, allOf, anyOf, oneOf } = schema;
  const single = [items, additionalProperties, additionalItems, not];
  const many = [...(allOf ?? []), ...(anyOf ?? []), ...(oneOf ?? [])];
  const all = [...Object.values(schema.properties ?? {}), ...many, ...single];
  for (const each of all) {
    if (typeof each === "object" && each !== null) yield* schemasIn(each as JSONSchemaProps);
  }
}

function unknownFormats({ spec }: CustomResourceDefinition): string[] {
  return (spec?.versions ?? []).flatMap(({ schema }) =>
    [...schemasIn(schema?.openAPIV3Schema ?? {})].flatMap(({ type, format }) => {
      const known = format === undefined || FORMATS.has(format.replaceAll("-", ""));
      return type !== "string" || known ? [] : [format];
    }),
  );
}

/** Of formats that nobody checks, where they are new. */
export function definitionWarnings(
  definition: CustomResourceDefinition,
  old: CustomResourceDefinition | undefined,
): string[] {
  const before = new Set(old === undefined ? [] : unknownFormats(old));
  return unknownFormats(definition)
    .filter((format) => !before.has(format))
    .map((format) => `unrecognized format ${JSON.stringify(format)}`);
}
