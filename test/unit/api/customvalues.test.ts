import { describe, expect, test } from "bun:test";
import { valueCauses } from "#api/custom/values.ts";
import type { JSONSchemaProps } from "#resources/types.gen.ts";

const integer = { type: "integer", maximum: 9 };
const fieldsOf = (schema: JSONSchemaProps, object: object, old?: object): string[] =>
  valueCauses(schema, object, old).map(({ field }) => field);

describe("what was wrong before", () => {
  const list = (kind: string): JSONSchemaProps => ({
    type: "object",
    properties: { l: { type: "array", "x-kubernetes-list-type": kind, items: integer } },
  });

  test("doubles are let be where there were some, and refused where there were none", () => {
    const set = list("set");
    expect(fieldsOf(set, { l: [1, 1] })).toEqual(["l[1]"]);
    expect(fieldsOf(set, { l: [1, 1, 2] }, { l: [1, 1] })).toEqual([]);
    expect(fieldsOf(set, { l: [1, 1, 2] }, { l: [1] })).toEqual(["l[1]"]);
    expect(fieldsOf(set, { l: [1, 1, 10] }, { l: [1, 1] })).toEqual(["l[2]"]);
  });

  test("is let be in choices, too, and in maps", () => {
    const small = { properties: { a: integer } };
    const some: JSONSchemaProps = { type: "object", anyOf: [small], allOf: [small] };
    expect(fieldsOf(some, { a: 10, b: 1 })).toEqual(["a", ""]);
    expect(fieldsOf(some, { a: 10, b: 1 }, { a: 10 })).toEqual([]);
    expect(fieldsOf(some, { a: 11, b: 1 }, { a: 10 })).toEqual(["a", ""]);
    const map: JSONSchemaProps = { type: "object", additionalProperties: integer };
    expect(fieldsOf(map, { a: 10, b: 10 }, { a: 10, b: 1 })).toEqual(["b"]);
  });

  test("what is required and gone is refused, whatever stood there", () => {
    const needs: JSONSchemaProps = { type: "object", required: ["a"] };
    expect(fieldsOf(needs, { b: 1 }, { a: 1 })).toEqual(["a"]);
    expect(fieldsOf(needs, { b: 1 }, { b: 1 })).toEqual([]);
  });
});
