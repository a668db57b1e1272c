import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { createCodec, encodeObject, metadataOfText, stampRevision, storeKey } from "#api/codec.ts";
import { configMaps } from "#resources/kinds/configmap.ts";
import { kinds } from "#resources/kinds.ts";
import type { ApiObject } from "#resources/meta.ts";

describe("stored texts", () => {
  test("name kind, version and an empty revision first", () => {
    const object = {
      spec: 1,
      metadata: { name: "a", resourceVersion: "7" },
      apiVersion: "v1",
      kind: "X",
    };
    expect(encodeObject(object as ApiObject)).toBe(
      '{"kind":"X","apiVersion":"v1","metadata":{"resourceVersion":"","name":"a"},"spec":1}',
    );
  });

  test("are stamped anew, whatever they hold", () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.nat(), fc.nat(), (data, first, second) => {
        const object = { kind: "X", apiVersion: "v1", metadata: { name: "a" }, data } as ApiObject;
        const value = encodeObject(object);
        const once = stampRevision(value, first);
        expect(JSON.parse(once).metadata.resourceVersion).toBe(String(first));
        expect(stampRevision(once, second)).toBe(stampRevision(value, second));
        expect(JSON.parse(once).data).toEqual(JSON.parse(value).data);
      }),
    );
  });

  test("tell their metadata without the managers, whatever they hold", () => {
    const managers = [
      { manager: ',"managedFields":[', operation: "Update", fieldsV1: { "f:a": {} } },
    ];
    fc.assert(
      fc.property(
        fc.dictionary(fc.string(), fc.oneof(fc.string(), fc.constant(',"managedFields":['))),
        fc.boolean(),
        fc.jsonValue(),
        (annotations, tracked, data) => {
          const metadata = {
            ...(tracked && { managedFields: managers }),
            name: "a",
            annotations,
            finalizers: ['"managedFields":['],
          };
          const object = { kind: "X", apiVersion: "v1", metadata, data } as ApiObject;
          const value = stampRevision(encodeObject(object), 7);
          const { managedFields: _, ...rest } = JSON.parse(value).metadata;
          const told: Record<string, unknown> = { ...metadataOfText(value) };
          delete told["managedFields"];
          expect(told).toEqual(rest);
          expect(JSON.parse(value).metadata.managedFields).toEqual(tracked ? managers : undefined);
        },
      ),
    );
    const bare = stampRevision(encodeObject({ kind: "X", apiVersion: "v1", metadata: {} }), 3);
    expect(metadataOfText(bare)).toEqual({ resourceVersion: "3" } as never);
  });

  test("tell their terms again when read from disk", () => {
    const codec = createCodec(kinds);
    const object = {
      kind: "ConfigMap",
      apiVersion: "v1",
      metadata: { name: "a", namespace: "n", labels: { x: "y" } },
    };
    const key = storeKey("core/configmaps", "n", "a");
    expect(codec.terms(key, encodeObject(object))).toEqual({
      labels: { x: "y" },
      fields: { "metadata.name": "a", "metadata.namespace": "n" },
    });
    expect(codec.terms("x.io/foos/n/a", encodeObject(object)).labels).toEqual({ x: "y" });
    expect(configMaps.namespaced).toBe(true);
  });
});
