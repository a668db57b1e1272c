import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { messageOf } from "#resources/protobuf/table.ts";
import { Writer } from "#resources/protobuf/wire.ts";
import {
  decodeProtobuf,
  encodeProtobuf,
  encodeWatchFrame,
  hasProtobuf,
  ProtobufError,
} from "#resources/protobuf.ts";
import { definitions } from "#resources/schema.ts";
import type { Json } from "#resources/types.gen.ts";
import { tries } from "#test/support/property.ts";
import { objectOf } from "./protobuf.arbitrary.ts";

interface Case {
  object: { apiVersion: string; kind: string };
  /** What Go writes. */
  go: string;
  /** What we wrote when Go read it back as the same object. */
  ours: string;
}

/** By the protobuf serializer of apimachinery v0.34.4 with the types of k8s.io/api. */
const lines = await Bun.file(new URL("./protobuf.golden.jsonl", import.meta.url)).text();
const golden: Case[] = lines
  .trimEnd()
  .split("\n")
  .map((line) => JSON.parse(line));

const bytesOf = (base64: string): Uint8Array => new Uint8Array(Buffer.from(base64, "base64"));

/** Without what a typed object has anyway: empty and zero values, in any order of fields. */
function essence(value: Json): Json {
  if (Array.isArray(value)) return value.map(essence);
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value)
    .map(([key, child]) => [key, essence(child)] as const)
    .filter(([, child]) => !isBlank(child));
  return Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1)));
}

function isBlank(value: Json): boolean {
  if (value === "0") return true;
  if (typeof value !== "object" || value === null) return !value;
  return Object.keys(value).length === 0;
}

test.each(
  golden.map((entry) => [`${entry.object.apiVersion} ${entry.object.kind}`, entry] as const),
)("%s is read and written as Go does", (_, { object, go, ours }) => {
  expect(essence(decodeProtobuf(bytesOf(go)))).toEqual(essence(object as Json));
  expect(Buffer.from(encodeProtobuf(object)).toString("base64")).toBe(ours);
});

const kinds = Object.entries(definitions()).flatMap(([name, schema]) =>
  (schema["x-kubernetes-group-version-kind"] ?? [])
    .filter(({ version }) => /^v\d+$/.test(version))
    .filter(({ group }) => !name.includes(".meta.v1.") || group === "")
    .map(({ group, version, kind }) => {
      const apiVersion = group === "" ? version : `${group}/${version}`;
      return { name, apiVersion, kind };
    }),
);

describe("every built-in kind", () => {
  test("has a message", () => {
    expect(kinds.length).toBeGreaterThan(120);
    expect(kinds.filter(({ apiVersion, kind }) => !hasProtobuf(apiVersion, kind))).toEqual([]);
  });

  test("has the fields of its schema in its message, and no other", () => {
    const fieldsOf = (name: string): string[] => {
      const properties = Object.keys(definitions()[name]?.properties ?? {});
      return properties.filter((key) => key !== "apiVersion" && key !== "kind").sort();
    };
    for (const { name, apiVersion, kind } of kinds) {
      const fields = [...(messageOf(apiVersion, kind)?.fields.values() ?? [])];
      expect([kind, fields.map((field) => field.name).sort()]).toEqual([kind, fieldsOf(name)]);
    }
  });

  test.each(kinds.map(({ name, apiVersion, kind }) => [`${apiVersion} ${kind}`, name] as const))(
    "property: %s comes back as it was",
    (title, name) => {
      const [apiVersion = "", kind = ""] = title.split(" ");
      fc.assert(
        fc.property(objectOf(name), (fields) => {
          const object = { apiVersion, kind, ...(fields as { [key: string]: Json }) };
          expect(essence(decodeProtobuf(encodeProtobuf(object)))).toEqual(essence(object));
        }),
        tries(8),
      );
    },
  );
});

describe("values", () => {
  const spec = (fields: object) => ({ apiVersion: "apps/v1", kind: "Deployment", spec: fields });
  const again = (object: object): Json => decodeProtobuf(encodeProtobuf(object));

  test("a zero behind a pointer is kept, an empty struct behind one too", () => {
    const object = spec({ replicas: 0, selector: {} });
    expect(again(object)).toEqual(object as Json);
  });

  test("an envelope inside: lists of anything and watch events", () => {
    const list = { apiVersion: "v1", kind: "List", items: [spec({ replicas: 1 })] };
    expect(again(list)).toEqual(list as Json);
  });

  test("options belong to every group", () => {
    const options = { apiVersion: "apps/v1", kind: "DeleteOptions", gracePeriodSeconds: 0 };
    expect(again(options)).toEqual(options);
  });

  test("a frame of a watch has its length before it, and the object with its envelope", () => {
    const pod = { apiVersion: "v1", kind: "Pod", metadata: { name: "x" } };
    const frame = encodeWatchFrame("ADDED", pod);
    const { buffer, byteLength } = frame;
    expect(new DataView(buffer).getUint32(0)).toBe(byteLength - 4);
    const envelope = encodeProtobuf(pod);
    const writer = new Writer();
    const before = writer.size;
    writer.raw(envelope);
    writer.close(1, before);
    writer.close(2, before);
    writer.textField(1, "ADDED");
    expect(frame.subarray(4)).toEqual(writer.finish());
  });

  test("a key that objects inherit is a key like any other", () => {
    const data = JSON.parse('{"__proto__":"x","constructor":"y"}');
    const map = { apiVersion: "v1", kind: "ConfigMap", data };
    expect(JSON.stringify(again(map))).toContain('"__proto__":"x"');
  });
});

describe("what has no form", () => {
  test("custom resources and Tables", () => {
    expect(hasProtobuf("example.com/v1", "Widget")).toBe(false);
    expect(hasProtobuf("meta.k8s.io/v1", "Table")).toBe(false);
    expect(() => encodeProtobuf({ apiVersion: "e.com/v1", kind: "W" })).toThrow(ProtobufError);
  });

  test("bytes without the magic, cut short, or of an unknown kind", () => {
    expect(() => decodeProtobuf(new TextEncoder().encode("{}"))).toThrow("expected prefix");
    const bytes = encodeProtobuf({ apiVersion: "v1", kind: "Pod", metadata: { name: "abc" } });
    expect(() => decodeProtobuf(bytes.subarray(0, bytes.length - 9))).toThrow(ProtobufError);
  });

  test("property: any bytes are either read or refused", () => {
    const pod = encodeProtobuf({
      apiVersion: "v1",
      kind: "Pod",
      metadata: { name: "abc", labels: { a: "b" }, creationTimestamp: "2024-01-01T00:00:00Z" },
      spec: { containers: [{ name: "c", ports: [{ containerPort: 80 }] }] },
    });
    const damage = fc.array(fc.tuple(fc.nat(pod.length - 1), fc.nat(255)), { maxLength: 6 });
    fc.assert(
      fc.property(damage, fc.nat(pod.length), (changes, length) => {
        const bytes = pod.slice(0, length);
        for (const [at, value] of changes) if (at >= 4 && at < length) bytes[at] = value;
        try {
          decodeProtobuf(bytes);
        } catch (error) {
          expect(error).toBeInstanceOf(ProtobufError);
        }
      }),
      tries(2000),
    );
  });
});
