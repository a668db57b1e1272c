import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { definitions, type Schema } from "#resources/schema.ts";
import { applySchemaDefaults, checkShape, pruneUnknown } from "#resources/shape.ts";

const schema = (name: string): Schema => definitions()[`io.k8s.api.${name}`] ?? {};
const pod = schema("core.v1.Pod");
const container = (fields: object) => ({ spec: { containers: [fields] } });

describe("built-in kinds", () => {
  /** The texts are those of sigs.k8s.io/json decoding into the types of k8s.io/api v0.34.4. */
  test.each([
    [
      { spec: { containers: "x" } },
      "json: cannot unmarshal string into Go struct field PodSpec.spec.containers of type []v1.Container",
    ],
    [
      container({ name: 5 }),
      "json: cannot unmarshal number into Go struct field Container.spec.containers.name of type string",
    ],
    [
      container({ ports: [{ containerPort: 1.5 }] }),
      "json: cannot unmarshal number 1.5 into Go struct field ContainerPort.spec.containers.ports.containerPort of type int32",
    ],
    [
      { metadata: { labels: { a: 1 } } },
      "json: cannot unmarshal number into Go struct field ObjectMeta.metadata.labels of type string",
    ],
    [
      { spec: { hostNetwork: "yes" } },
      "json: cannot unmarshal string into Go struct field PodSpec.spec.hostNetwork of type bool",
    ],
    [
      container({ resources: { limits: { cpu: true } } }),
      "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'",
    ],
    [
      { metadata: { creationTimestamp: "yesterday" } },
      'parsing time "yesterday" as "2006-01-02T15:04:05Z07:00": cannot parse "yesterday" as "2006"',
    ],
  ])("%p is refused", (object, message) => {
    const shape = checkShape(structuredClone(object), pod);
    expect(shape.decodeError).toBe(message);
    expect(shape.causes).toHaveLength(1);
  });

  test("bytes must be base64", () => {
    const secret = { data: { good: "YWJjZA==", bad: "YWJj!!" } };
    const { causes, decodeError } = checkShape(secret, schema("core.v1.Secret"));
    expect(causes.map((cause) => cause.field)).toEqual(["data.bad"]);
    expect(decodeError).toBe("illegal base64 data at input byte 4");
  });

  test("unknown fields have paths, are kept by the check and dropped by pruning", () => {
    const object = {
      yy: 2,
      metadata: { xx: 1, labels: { any: "thing" } },
      spec: { foo: 1, containers: [{ name: "a", env: [{ name: "E", valueFrom: { zip: {} } }] }] },
    };
    const shape = checkShape(object, pod);
    expect(shape.causes).toEqual([]);
    expect(shape.unknownFields.sort()).toEqual([
      "metadata.xx",
      "spec.containers[0].env[0].valueFrom.zip",
      "spec.foo",
      "yy",
    ]);
    expect(object).toHaveProperty("spec.foo", 1);
    pruneUnknown(object, pod);
    expect(object as object).toEqual({
      metadata: { labels: { any: "thing" } },
      spec: { containers: [{ name: "a", env: [{ name: "E", valueFrom: {} }] }] },
    });
  });

  test("what is only untidy takes the form that is stored", () => {
    const object = {
      metadata: { creationTimestamp: "2020-01-02T03:04:05.678+02:00", labels: { a: null } },
      spec: {
        nodeSelector: null,
        tolerations: [null],
        containers: [{ resources: { limits: { cpu: 0.5, memory: "1024Mi" } }, image: null }],
      },
    };
    expect(checkShape(object, pod)).toEqual({ unknownFields: [], causes: [] });
    expect(object as object).toEqual({
      metadata: { creationTimestamp: "2020-01-02T01:04:05Z", labels: { a: "" } },
      spec: {
        tolerations: [{}],
        containers: [{ resources: { limits: { cpu: "500m", memory: "1Gi" } } }],
      },
    });
  });

  test("times of events keep their microseconds", () => {
    const event = { eventTime: "2020-01-02T03:04:05.123456Z" };
    expect(checkShape(event, schema("core.v1.Event")).causes).toEqual([]);
    expect(event.eventTime).toBe("2020-01-02T03:04:05.123456Z");
  });

  test("a day that no calendar has is refused", () => {
    const object = { metadata: { creationTimestamp: "2021-02-30T00:00:00Z" } };
    expect(checkShape(object, pod).causes).toHaveLength(1);
  });

  test("a schema that holds itself, and an object too deep for it", () => {
    const crd =
      definitions()[
        "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.CustomResourceDefinition"
      ];
    const nested = (levels: number): object =>
      JSON.parse(`${'{"not":'.repeat(levels)}{"typo":1}${"}".repeat(levels)}`);
    const object = (levels: number) => ({
      spec: { versions: [{ schema: { openAPIV3Schema: nested(levels) } }] },
    });
    const path = "spec.versions[0].schema.openAPIV3Schema.not.not.typo";
    expect(checkShape(object(2), crd ?? {}).unknownFields).toEqual([path]);
    const deep = checkShape(object(50_000), crd ?? {});
    expect(deep.causes[0]?.message).toContain("exceeded max depth");
  });
});

describe("custom resources", () => {
  const custom: Schema = {
    type: "object",
    properties: {
      spec: {
        type: "object",
        properties: {
          replicas: { type: "integer", default: 1 },
          mode: { type: "string", nullable: true },
          port: { "x-kubernetes-int-or-string": true },
          free: { type: "object", "x-kubernetes-preserve-unknown-fields": true },
          byName: {
            type: "object",
            additionalProperties: {
              type: "object",
              properties: { size: { type: "string", default: "s" } },
            },
          },
          template: { type: "object", "x-kubernetes-embedded-resource": true, properties: {} },
          list: { type: "array", items: { type: "string" } },
        },
      },
    },
  };

  test("kind, version and metadata need no mention", () => {
    const object = { apiVersion: "a/v1", kind: "A", metadata: { name: "x", zip: 1 } };
    expect(checkShape(object, custom).unknownFields).toEqual(["metadata.zip"]);
  });

  test("types as the schema has them", () => {
    const spec = { replicas: "3", list: [1], port: "80", mode: null };
    expect(checkShape({ spec }, custom).causes).toEqual([
      {
        reason: "FieldValueTypeInvalid",
        field: "spec.replicas",
        message: 'Invalid value: "string": spec.replicas in body must be of type integer: "string"',
      },
      {
        reason: "FieldValueTypeInvalid",
        field: "spec.list[0]",
        message: 'Invalid value: "number": spec.list[0] in body must be of type string: "number"',
      },
    ]);
  });

  test("unknown fields, but not where they are to be preserved", () => {
    const object = {
      spec: {
        free: { a: { b: 1 } },
        stray: 1,
        byName: { x: { size: "l", stray: 1 } },
        template: { apiVersion: "v1", kind: "P", metadata: { name: "y" }, stray: 1 },
      },
    };
    const paths = ["spec.stray", "spec.byName.x.stray", "spec.template.stray"];
    expect(checkShape(object, custom).unknownFields).toEqual(paths);
    pruneUnknown(object, custom);
    expect(object as object).toEqual({
      spec: {
        free: { a: { b: 1 } },
        byName: { x: { size: "l" } },
        template: { apiVersion: "v1", kind: "P", metadata: { name: "y" } },
      },
    });
  });

  test("defaults fill what is missing, and null where it is no value", () => {
    const object = { spec: { byName: { x: {} }, replicas: null, mode: null } };
    applySchemaDefaults(object, custom);
    expect(object as object).toEqual({
      spec: { byName: { x: { size: "s" } }, replicas: 1, mode: null },
    });
  });

  // Kubernetes tasks, CustomResourceDefinitions: defaulting and nullable.
  const text: Schema = { type: "string" };
  const leaf: Schema = { ...text, default: "d" };
  const list = (items: Schema): Schema => ({ type: "array", items });
  const map = (additionalProperties: Schema | true): Schema => ({
    type: "object",
    additionalProperties,
  });
  const open: Schema = { "x-kubernetes-preserve-unknown-fields": true };
  const number: Schema = { "x-kubernetes-int-or-string": true };
  test.each<[string, Schema, unknown, unknown]>([
    ["goes", text, null, undefined],
    ["gives way to the default", leaf, null, "d"],
    ["stays where it is a value", { ...text, nullable: true }, null, null],
    ["stays where it is a value, whatever the default", { ...leaf, nullable: true }, null, null],
    ["goes, though anything else may be there", open, null, undefined],
    ["stays where anything and null may be", { ...open, nullable: true }, null, null],
    ["of a number or text goes", number, null, undefined],
    ["of a number or text stays", { ...number, nullable: true }, null, null],
    ["of an object goes", { type: "object", properties: {} }, null, undefined],
    ["of a list stays", { ...list(text), nullable: true }, null, null],
    ["in a map goes", map(text), { a: null, b: "x" }, { b: "x" }],
    ["in a map gives way to the default", map(leaf), { a: null }, { a: "d" }],
    ["in a map stays", map({ ...leaf, nullable: true }), { a: null }, { a: null }],
    ["in a map of anything stays", map(true), { a: null }, { a: null }],
    ["in a list gives way to the default", list(leaf), [null, "x"], ["d", "x"]],
    ["in a list stays", list({ ...text, nullable: true }), [null], [null]],
    ["among unknown fields stays", { ...open, type: "object" }, { a: null }, { a: null }],
  ])("null %s", (_, schema, given, wanted) => {
    const object = { v: given };
    const root: Schema = { type: "object", properties: { v: schema } };
    expect(checkShape(object, root).causes).toEqual([]);
    applySchemaDefaults(object, root);
    expect(object).toEqual({ v: wanted } as never);
    expect(Object.hasOwn(object, "v")).toBe(wanted !== undefined);
  });

  test("null in a list without a default is of the wrong type", () => {
    const root: Schema = { type: "object", properties: { v: list(text) } };
    expect(checkShape({ v: [null] }, root).causes[0]?.message).toBe(
      'Invalid value: "null": v[0] in body must be of type string: "null"',
    );
  });

  test("a default is never shared between objects", () => {
    const shared: Schema = {
      type: "object",
      properties: { spec: { type: "object", default: { list: [] }, properties: {} } },
    };
    const [a, b] = [{ spec: undefined }, { spec: undefined }];
    applySchemaDefaults(a, shared);
    applySchemaDefaults(b, shared);
    expect(a.spec).toEqual({ list: [] } as never);
    expect(a.spec).not.toBe(b.spec);
  });
});

const anyJson = fc.jsonValue({ maxDepth: 4 });
const podLike = fc.record(
  {
    metadata: fc.record({ labels: anyJson, finalizers: anyJson, junk: anyJson }),
    spec: fc.record({ containers: fc.oneof(fc.array(anyJson), anyJson), nodeSelector: anyJson }),
    status: anyJson,
  },
  { requiredKeys: [] },
);

test("an object that passed and was pruned fits, whatever it was before", () => {
  fc.assert(
    fc.property(podLike, (object) => {
      const { causes } = checkShape(object, pod);
      if (causes.length > 0) return;
      pruneUnknown(object, pod);
      const before = JSON.stringify(object);
      expect(checkShape(object, pod)).toEqual({ unknownFields: [], causes: [] });
      expect(JSON.stringify(object)).toBe(before);
    }),
  );
});
