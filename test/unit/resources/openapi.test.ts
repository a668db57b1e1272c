import { describe, expect, test } from "bun:test";
import { limits } from "#base/limits.ts";
import { defineKind, type Kind } from "#resources/kind.ts";
import { kinds } from "#resources/kinds.ts";
import {
  type OpenApiDocument,
  openApiV2,
  openApiV2Protobuf,
  openApiV3,
  openApiV3Index,
} from "#resources/openapi.ts";
import { eachField, textOf, Wire } from "#resources/protobuf/wire.ts";
import type { Schema } from "#resources/schema.ts";

interface Doc {
  [key: string]: Doc;
}

const parse = (document: OpenApiDocument | undefined): Doc =>
  JSON.parse(new TextDecoder().decode(document?.bytes)) as Doc;

const widget: Kind = defineKind({
  group: "example.com",
  version: "v1",
  kind: "Widget",
  plural: "widgets",
  namespaced: true,
  subresources: { status: true },
  schema: {
    type: "object",
    properties: {
      spec: {
        type: "object",
        properties: { size: { type: "integer" }, maybe: { type: "string", nullable: true } },
      },
    },
  },
});
const all = [...kinds, widget];

function* refsOf(value: unknown): Generator<string> {
  if (typeof value !== "object" || value === null) return;
  for (const [key, child] of Object.entries(value)) {
    if (key === "$ref" && typeof child === "string") yield child;
    else yield* refsOf(child);
  }
}

const at = (document: unknown, ref: string): unknown =>
  ref
    .slice(2)
    .split("/")
    .reduce<unknown>((node, key) => (node as Record<string, unknown>)[key], document);

function operations(document: Doc): Doc[] {
  return Object.values(document["paths"] ?? {}).flatMap((item) =>
    Object.entries(item).flatMap(([key, value]) => (key === "parameters" ? [] : [value as Doc])),
  );
}

const documents = Object.keys(parse(openApiV3Index(all))["paths"] ?? {});

describe("version 3", () => {
  test("the index names every group and version, with a hash that the document has too", () => {
    const index = parse(openApiV3Index(all));
    expect(documents).toContain("api/v1");
    expect(documents).toContain("apis/apps/v1");
    expect(documents).toContain("apis/example.com/v1");
    for (const path of documents) {
      const url = String(index["paths"]?.[path]?.["serverRelativeURL"]);
      expect(url).toBe(`/openapi/v3/${path}?hash=${openApiV3(all, path)?.hash}`);
    }
    expect(openApiV3(all, "apis/nothing/v1")).toBeUndefined();
  });

  test.each(documents)("%s holds all that it refers to, and each operation once", (path) => {
    const document = parse(openApiV3(all, path));
    const refs = [...refsOf(document)];
    expect(refs.filter((ref) => at(document, ref) === undefined)).toEqual([]);
    const ids = operations(document).map((operation) => String(operation["operationId"]));
    expect(ids.filter((id, index) => ids.indexOf(id) !== index)).toEqual([]);
  });

  test("what kubectl explain and apply look for", () => {
    const document = parse(openApiV3(all, "apis/apps/v1"));
    const item = document["paths"]?.["/apis/apps/v1/namespaces/{namespace}/deployments/{name}"];
    const gvk = { group: "apps", kind: "Deployment", version: "v1" } as unknown as Doc;
    expect(item?.["patch"]?.["x-kubernetes-group-version-kind"]).toEqual(gvk);
    expect(item?.["patch"]?.["x-kubernetes-action"] as unknown).toBe("patch");
    const names = Object.values(item?.["patch"]?.["parameters"] ?? {}).map((each) => each["name"]);
    expect(names as unknown).toContain("fieldValidation");
    expect(names as unknown).toContain("dryRun");
    const { schemas = {} } = document["components"] ?? {};
    expect(schemas["io.k8s.api.apps.v1.Deployment"]?.["x-kubernetes-group-version-kind"]).toEqual([
      gvk,
    ] as unknown as Doc);
    const containers = schemas["io.k8s.api.core.v1.PodSpec"]?.["properties"]?.["containers"];
    expect(containers?.["x-kubernetes-patch-merge-key"] as unknown).toBe("name");
    const strategy = schemas["io.k8s.api.apps.v1.DeploymentSpec"]?.["properties"]?.["strategy"];
    expect(strategy?.["x-kubernetes-patch-strategy"] as unknown).toBe("retainKeys");
    expect(strategy?.["allOf"]).toBeDefined();
  });

  test("subresources of pods", () => {
    const { paths = {} } = parse(openApiV3(all, "api/v1"));
    const pod = "/api/v1/namespaces/{namespace}/pods/{name}";
    const some = ["binding", "eviction", "exec", "log", "portforward", "resize", "status"];
    for (const name of some) expect(Object.keys(paths)).toContain(`${pod}/${name}`);
  });

  test("custom resources", () => {
    const document = parse(openApiV3(all, "apis/example.com/v1"));
    const schema = document["components"]?.["schemas"]?.["com.example.v1.Widget"];
    expect(schema?.["properties"]?.["spec"]?.["properties"]?.["maybe"] as unknown).toEqual({
      type: "string",
      nullable: true,
    });
    const meta = "#/components/schemas/io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta";
    expect(schema?.["properties"]?.["metadata"] as unknown).toEqual({
      allOf: [{ $ref: meta }],
      description: expect.stringMatching(/^Standard object's metadata/),
    });
    expect(schema?.["properties"]?.["apiVersion"] as unknown).toEqual({
      type: "string",
      description: expect.stringMatching(/^APIVersion defines /),
    });
    const patch =
      document["paths"]?.["/apis/example.com/v1/namespaces/{namespace}/widgets/{name}"]?.["patch"];
    const types = Object.keys(patch?.["requestBody"]?.["content"] ?? {});
    expect(types).toContain("application/merge-patch+json");
    expect(types).not.toContain("application/strategic-merge-patch+json");
  });
});

describe("version 2", () => {
  test("is one document that holds all that it refers to", () => {
    const document = parse(openApiV2(all));
    expect([...refsOf(document)].filter((ref) => at(document, ref) === undefined)).toEqual([]);
    const ids = operations(document).map((operation) => String(operation["operationId"]));
    expect(new Set(ids).size).toBe(ids.length);
  });

  test("knows no null", () => {
    const widgetSchema = parse(openApiV2(all))["definitions"]?.["com.example.v1.Widget"];
    expect(widgetSchema?.["properties"]?.["spec"]?.["properties"] as unknown).toEqual({
      size: { type: "integer" },
      maybe: {},
    });
  });

  test("says of a free object only that it is one, of an embedded one what objects have", () => {
    const kind = (name: string, schema: Schema): Kind =>
      defineKind({
        group: "x.io",
        version: "v1",
        kind: name,
        plural: name,
        namespaced: true,
        schema,
      });
    const free = { "x-kubernetes-preserve-unknown-fields": true };
    const holder: Schema = {
      type: "object",
      properties: {
        held: { type: "object", "x-kubernetes-embedded-resource": true },
        loose: { type: "object", ...free, properties: { a: { type: "string" } } },
      },
    };
    const some = [...all, kind("Free", { type: "object", ...free }), kind("Holder", holder)];
    const made = parse(openApiV2(some))["definitions"] as Record<string, Doc>;
    const about = (name: string) => [{ group: "x.io", kind: name, version: "v1" }];
    expect(made["io.x.v1.Free"] as unknown).toEqual({
      type: "object",
      "x-kubernetes-group-version-kind": about("Free"),
    });
    const { held, loose } = made["io.x.v1.Holder"]?.["properties"] ?? {};
    expect(loose as unknown).toEqual(free);
    expect(Object.keys(held?.["properties"] ?? {})).toEqual(["apiVersion", "kind", "metadata"]);
    expect(held?.["required"] as unknown).toEqual(["kind", "apiVersion"]);
  });
});

describe("version 2 as protobuf", () => {
  /** Values of one field of a message. */
  function partsAt(bytes: Uint8Array, wanted: number): Uint8Array[] {
    const parts: Uint8Array[] = [];
    eachField(bytes, (number, reader, wire) => {
      if (number !== wanted || wire !== Wire.bytes) return false;
      parts.push(reader.bytes());
      return true;
    });
    return parts;
  }
  const texts = (parts: Uint8Array[]): string[] => parts.map((part) => textOf(part));

  test("holds the same definitions and paths", () => {
    const json = parse(openApiV2(all));
    const { bytes } = openApiV2Protobuf(all);
    const [definitions = new Uint8Array()] = partsAt(bytes, 9);
    const [paths = new Uint8Array()] = partsAt(bytes, 8);
    const namesIn = (parts: Uint8Array[]) => parts.flatMap((part) => texts(partsAt(part, 1)));
    expect(namesIn(partsAt(definitions, 1))).toEqual(Object.keys(json["definitions"] ?? {}));
    expect(namesIn(partsAt(paths, 2))).toEqual(Object.keys(json["paths"] ?? {}));
    expect(texts(partsAt(bytes, 1))).toEqual(["2.0"]);
  });
});

describe("keeping documents", () => {
  test("the same kinds give the same bytes, other kinds another hash", () => {
    expect(openApiV3(all, "api/v1")).toBe(openApiV3(kinds, "api/v1"));
    expect(openApiV2(all).hash).not.toBe(openApiV2(kinds).hash);
    const changed = { ...widget, plural: "gadgets" };
    const path = "apis/example.com/v1";
    expect(openApiV3([changed], path)?.hash).not.toBe(openApiV3([widget], path)?.hash);
  });

  test("old ones make room for new ones", () => {
    const first = openApiV3([widget], "apis/example.com/v1");
    for (let i = 0; i <= limits.openApiDocumentsMax; i++) {
      openApiV3([{ ...widget, plural: `p${i}` }], "apis/example.com/v1");
    }
    const again = openApiV3([widget], "apis/example.com/v1");
    expect(again).not.toBe(first);
    expect(again?.hash).toBe(first?.hash ?? "");
  });
});
