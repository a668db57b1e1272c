import { expect, test } from "bun:test";
import { mergeV2, partOf } from "#resources/openapi/merge.ts";

const ref = (name: string): object => ({ $ref: `#/definitions/${name}` });
const returns = (name: string): object => ({ get: { responses: { 200: { schema: ref(name) } } } });

const OTHER = {
  swagger: "2.0",
  paths: {
    "/apis/ext.io/v1/": returns("List"),
    "/apis/ext.io/v1/foos": returns("Foo"),
    "/apis/ext.io/v10/foos": returns("Far"),
    "/version/": returns("Version"),
  },
  definitions: {
    Foo: { properties: { meta: ref("Meta"), self: ref("Foo"), items: { items: ref("Item") } } },
    Meta: { type: "object", description: "theirs" },
    Item: { description: "same", type: "string" },
    List: { type: "object" },
    Far: { type: "object" },
    Version: { type: "object" },
  },
};

test("of another server's document only its group's paths count, and what they need", () => {
  const part = partOf(OTHER, "ext.io", "v1");
  expect(Object.keys(part?.paths ?? {})).toEqual(["/apis/ext.io/v1/", "/apis/ext.io/v1/foos"]);
  expect(Object.keys(part?.definitions ?? {}).sort()).toEqual(["Foo", "Item", "List", "Meta"]);
  expect(partOf("nonsense", "ext.io", "v1")).toBeUndefined();
  expect(partOf({}, "ext.io", "v1")).toBeUndefined();
});

test("definitions that differ are both kept, those that are equal once", () => {
  const part = partOf(OTHER, "ext.io", "v1");
  const own = {
    paths: { "/apis/ext.io/v1/": returns("Mine") },
    definitions: {
      Meta: { type: "object", description: "ours" },
      Meta_v2: { type: "object", description: "ours, too" },
      Item: { type: "string", description: "same" },
    },
  };
  const before = structuredClone(own);
  const { paths, definitions } = mergeV2(own, part === undefined ? [] : [part]) as {
    paths: Record<string, unknown>;
    definitions: Record<string, { description?: string; properties?: Record<string, unknown> }>;
  };
  expect(own).toEqual(before);
  expect(paths["/apis/ext.io/v1/"]).toEqual(returns("Mine"));
  expect(paths["/apis/ext.io/v1/foos"]).toEqual(returns("Foo"));
  expect(definitions["Meta"]?.description).toBe("ours");
  expect(definitions["Meta_v3"]?.description).toBe("theirs");
  expect(definitions["Foo"]?.properties?.["meta"]).toEqual(ref("Meta_v3"));
  expect(definitions["Foo"]?.properties?.["self"]).toEqual(ref("Foo"));
  expect(Object.keys(definitions).filter((name) => name.startsWith("Item"))).toEqual(["Item"]);
});
