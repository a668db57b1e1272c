import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { limits } from "#base/limits.ts";
import {
  applyJsonPatch,
  applyMergePatch,
  applyStrategicPatch,
  PatchError,
} from "#resources/patch.ts";
import { definitions, type Schema } from "#resources/schema.ts";
import type { Json } from "#resources/types.gen.ts";

interface Case {
  kind: string;
  mode: "json" | "merge" | "strategic";
  object: Json;
  patch: Json;
  result?: Json;
  error?: string;
}

/**
 * What Kubernetes' own libraries make of these patches (strategicpatch of apimachinery v0.34.4,
 * patches as `kubectl apply` computes them among them; evanphx/json-patch v4.12.0).
 */
const lines = await Bun.file(new URL("./patch.golden.jsonl", import.meta.url)).text();
const golden: Case[] = lines
  .trimEnd()
  .split("\n")
  .map((line) => JSON.parse(line));

const SCHEMAS: Record<string, string> = {
  Pod: "io.k8s.api.core.v1.Pod",
  Deployment: "io.k8s.api.apps.v1.Deployment",
  Service: "io.k8s.api.core.v1.Service",
  Node: "io.k8s.api.core.v1.Node",
};
const schemaOf = (kind: string): Schema => definitions()[SCHEMAS[kind] ?? ""] ?? {};
const pod = schemaOf("Pod");

function run({ kind, mode, object, patch }: Case): Json {
  if (mode === "json") return applyJsonPatch(object, patch);
  if (mode === "merge") return applyMergePatch(object, patch);
  return applyStrategicPatch(object, patch, schemaOf(kind));
}

/** Nulls say nothing in a typed object. */
function withoutNulls(value: Json): Json {
  if (Array.isArray(value)) return value.map(withoutNulls);
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).filter(([, child]) => child !== null);
  return Object.fromEntries(entries.map(([key, child]) => [key, withoutNulls(child)]));
}

describe("as Kubernetes patches", () => {
  test.each(golden.map((entry, index) => [index, entry] as const))("case %i", (_, entry) => {
    const before = JSON.stringify([entry.object, entry.patch]);
    if (entry.error !== undefined) {
      expect(() => run(entry)).toThrow(new PatchError(422, entry.error));
    } else {
      const result = run(entry);
      const typed = entry.mode === "strategic" ? withoutNulls(result) : result;
      expect(typed).toEqual(entry.result ?? null);
    }
    expect(JSON.stringify([entry.object, entry.patch])).toBe(before);
  });
});

function codeOf(patch: () => Json): number {
  try {
    patch();
  } catch (error) {
    if (error instanceof PatchError) return error.code;
    throw error;
  }
  return 200;
}

describe("what is no patch", () => {
  test("has the status of a bad request", () => {
    expect(codeOf(() => applyJsonPatch({}, { op: "add" }))).toBe(400);
    expect(codeOf(() => applyJsonPatch({}, [7]))).toBe(400);
    expect(codeOf(() => applyMergePatch({}, [1]))).toBe(400);
    expect(codeOf(() => applyStrategicPatch({}, "x", pod))).toBe(400);
    const bad = { "$setElementOrder/finalizers": "x", finalizers: ["a"] };
    expect(codeOf(() => applyStrategicPatch({}, { metadata: bad }, pod))).toBe(200);
    expect(codeOf(() => applyStrategicPatch({ metadata: {} }, { metadata: bad }, pod))).toBe(400);
  });

  test("too many operations are refused", () => {
    const many = Array.from({ length: limits.jsonPatchOperationsMax + 1 }, () => ({
      op: "test",
      path: "",
      value: {},
    }));
    expect(codeOf(() => applyJsonPatch({}, many))).toBe(413);
  });

  test("copies of copies are refused before they fill the memory", () => {
    const doubling = Array.from({ length: 40 }, (_, i) => ({
      op: "copy",
      from: "/a",
      path: `/a/${i}`,
    }));
    expect(codeOf(() => applyJsonPatch({ a: { text: "x".repeat(100) } }, doubling))).toBe(422);
  });
});

test("no patch reaches the prototype of objects", () => {
  const patch = JSON.parse('{"metadata":{"labels":{"__proto__":{"polluted":"x"}}}}');
  applyMergePatch({ metadata: { labels: {} } }, patch);
  applyStrategicPatch({ metadata: { labels: {} } }, patch, pod);
  expect(
    codeOf(() => applyJsonPatch({}, [{ op: "add", path: "/__proto__/polluted", value: 1 }])),
  ).toBe(422);
  expect(({} as Record<string, unknown>)["polluted"]).toBeUndefined();
});

const json = fc.jsonValue({ maxDepth: 3 }) as fc.Arbitrary<Json>;
const object = fc.dictionary(fc.constantFrom("a", "b", "c"), json, { maxKeys: 3 });

test("a merge patch applied twice is as once, and an empty one changes nothing", () => {
  fc.assert(
    fc.property(object, object, (doc, patch) => {
      const once = applyMergePatch(doc, patch);
      expect(applyMergePatch(once, patch)).toEqual(once);
      expect(applyMergePatch(doc, {})).toEqual(doc);
    }),
  );
});

const name = fc.constantFrom("a", "b", "c", "d");
const items = fc.uniqueArray(fc.record({ name, image: fc.constantFrom("i", "j") }), {
  selector: (item) => item.name,
});

test("a strategic patch keeps what it does not name, sets what it names, and is idempotent", () => {
  fc.assert(
    fc.property(items, items, (live, given) => {
      const patch = { spec: { containers: given } };
      const once = applyStrategicPatch({ spec: { containers: live } }, patch, pod);
      const list = (once as { spec: { containers: typeof live } }).spec.containers;
      const wanted = new Map([...live, ...given].map((item) => [item.name, item.image]));
      expect(new Map(list.map((item) => [item.name, item.image]))).toEqual(wanted);
      expect(list.length).toBe(wanted.size);
      expect(applyStrategicPatch(once, patch, pod)).toEqual(once);
    }),
  );
});

test("any strategic patch either applies or is refused with PatchError", () => {
  const keys = fc.constantFrom("spec", "containers", "$patch", "$retainKeys", "name", "metadata");
  const order = fc.constantFrom("$setElementOrder/containers", "$deleteFromPrimitiveList/x");
  const tree = fc.letrec((tie) => ({
    value: fc.oneof(
      { maxDepth: 4 },
      fc.constantFrom<Json>("delete", "replace", "x", null, 1),
      fc.array(tie("value"), { maxLength: 3 }),
      fc.dictionary(fc.oneof(keys, order), tie("value"), { maxKeys: 4 }),
    ),
  })).value as fc.Arbitrary<Json>;
  fc.assert(
    fc.property(tree, tree, (doc, patch) => {
      codeOf(() => applyStrategicPatch({ spec: doc }, { spec: patch }, pod));
    }),
  );
});
