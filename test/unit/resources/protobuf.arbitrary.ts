/** Random objects of any built-in kind, made from the schema table. */
import fc from "fast-check";
import { definitions, type Schema } from "#resources/schema.ts";
import type { Json } from "#resources/types.gen.ts";

const EXTENSIONS = "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.";
const META = "io.k8s.apimachinery.pkg.apis.meta.v1.";

const word = fc.constantFrom("a", "web", "é", "日本", "x".repeat(200), 'q"\\', "-");
const count = fc.constantFrom(1, 7, 127, 128, 300, 65_536, 2 ** 31 - 1, -1, -5);
const size = fc.oneof(count, fc.constantFrom(2 ** 40, 2 ** 53 - 1, -(2 ** 40)));
const anyJson = fc.constantFrom<Json>("s", 1, true, { a: [1, { b: "x" }] }, [1, "2"], { z: 1.5 });
const anyObject = fc.constantFrom<Json>({ a: 1 }, { "f:metadata": { "f:labels": {} } });
const time = fc.constantFrom(
  "2024-01-02T03:04:05Z",
  "1970-01-01T00:00:01Z",
  "1969-12-31T23:59:59Z",
);
const microTime = fc.constantFrom("2024-01-02T03:04:05.123456Z", "1970-01-01T00:00:00.000001Z");

type Make = (depth: number) => fc.Arbitrary<Json>;

const props: Make = (depth) => objectOf(`${EXTENSIONS}JSONSchemaProps`, depth + 1);

const SPECIAL: Readonly<Record<string, Make>> = {
  "io.k8s.apimachinery.pkg.api.resource.Quantity": () => fc.constantFrom("1", "500m", "128Mi"),
  "io.k8s.apimachinery.pkg.util.intstr.IntOrString": () => fc.constantFrom<Json>(80, "http", "5%"),
  "io.k8s.apimachinery.pkg.runtime.RawExtension": () => anyObject,
  [`${META}FieldsV1`]: () => anyObject,
  [`${META}Time`]: () => time,
  [`${META}MicroTime`]: () => microTime,
  [`${EXTENSIONS}JSON`]: () => anyJson,
  [`${EXTENSIONS}CustomResourceSubresourceStatus`]: () => fc.constant({}),
  [`${EXTENSIONS}JSONSchemaPropsOrArray`]: (depth) =>
    fc.oneof(props(depth), fc.array(props(depth), { minLength: 1, maxLength: 2 })),
  [`${EXTENSIONS}JSONSchemaPropsOrBool`]: (depth) => fc.oneof(props(depth), fc.constant(true)),
  [`${EXTENSIONS}JSONSchemaPropsOrStringArray`]: (depth) =>
    fc.oneof(props(depth), fc.array(word, { minLength: 1, maxLength: 2 })),
};

const DEPTH_MAX = 7;

function arbitraryOf(schema: Schema, depth: number): fc.Arbitrary<Json> {
  if (schema.$ref !== undefined) return definedOf(schema.$ref, depth);
  switch (schema.type) {
    case "string":
      return schema.format === "byte" ? fc.constantFrom("YWJjZA==", "/+8=") : word;
    case "integer":
      return schema.format === "int32" ? count : size;
    case "number":
      return fc.constantFrom(0.5, -1e300, 3);
    case "boolean":
      return fc.constant(true);
    case "array":
      return fc.array(arbitraryOf(schema.items ?? {}, depth), { minLength: 1, maxLength: 2 });
    case "object":
      return mapOf(schema, depth);
    default:
      return anyJson;
  }
}

function mapOf(schema: Schema, depth: number): fc.Arbitrary<Json> {
  if (typeof schema.additionalProperties !== "object") return anyObject;
  const item = arbitraryOf(schema.additionalProperties, depth);
  return fc.dictionary(word, item, { minKeys: 1, maxKeys: 2, noNullPrototype: true });
}

function definedOf(name: string, depth: number): fc.Arbitrary<Json> {
  const special = SPECIAL[name];
  if (special !== undefined) return special(depth);
  const schema = definitions()[name] ?? {};
  return schema.properties === undefined ? arbitraryOf(schema, depth) : objectOf(name, depth + 1);
}

/** An object of this definition; empty once it is too deep. */
export function objectOf(name: string, depth = 0): fc.Arbitrary<Json> {
  if (depth > DEPTH_MAX) return fc.constant({});
  const properties = Object.entries(definitions()[name]?.properties ?? {});
  const known = properties.filter(([key]) => key !== "apiVersion" && key !== "kind");
  return fc
    .constant(null)
    .chain(() =>
      fc
        .subarray(known, { maxLength: depth === 0 ? known.length : Math.min(known.length, 5) })
        .chain((some) =>
          fc.record(
            Object.fromEntries(some.map(([key, schema]) => [key, arbitraryOf(schema, depth)])),
            { noNullPrototype: true },
          ),
        ),
    ) as fc.Arbitrary<Json>;
}
