import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { limits } from "#base/limits.ts";
import { applyServerSide, conflictMessage, trackUpdate } from "#resources/managed.ts";
import type { ApiObject } from "#resources/meta.ts";
import { definitions, type Schema } from "#resources/schema.ts";
import type { Json, ManagedFieldsEntry } from "#resources/types.gen.ts";

interface Step {
  op: "apply" | "update";
  manager: string;
  subresource?: string;
  force?: boolean;
  object: ApiObject;
  error?: string;
  managedFields?: ManagedFieldsEntry[];
  result?: Json;
}

/**
 * Histories of objects as Kubernetes' own field manager keeps them (managedfields of apimachinery
 * v0.34.4 on typed objects); without times, and without fields that are empty.
 */
const lines = await Bun.file(new URL("./managed.golden.jsonl", import.meta.url)).text();
const golden: Array<{ apiVersion: string; kind: string; steps: Step[] }> = lines
  .trimEnd()
  .split("\n")
  .map((line) => JSON.parse(line));

const schemas = Object.values(definitions());
function schemaOf(apiVersion: string, kind: string): Schema {
  const [group, version] = apiVersion.includes("/") ? apiVersion.split("/") : ["", apiVersion];
  const found = schemas.find((schema) =>
    schema["x-kubernetes-group-version-kind"]?.some(
      (gvk) => gvk.group === group && gvk.version === version && gvk.kind === kind,
    ),
  );
  return found ?? {};
}

const TIME = "2024-01-01T00:00:00Z";
type Fields = { [key: string]: Json };

function sorted(value: Json): Json {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== "object" || value === null) return value;
  const keys = Object.keys(value).sort();
  return Object.fromEntries(keys.map((key) => [key, sorted(value[key] as Json)]));
}

function withoutBlanks(value: Json): Json {
  if (Array.isArray(value)) return value.map(withoutBlanks);
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).map(([key, child]) => [key, withoutBlanks(child)] as const);
  const blank = (child: Json): boolean =>
    child === null || (typeof child === "object" && Object.keys(child).length === 0);
  return Object.fromEntries(entries.filter(([, child]) => !blank(child)));
}

const managersOf = (object: ApiObject): string[] =>
  (object.metadata?.managedFields ?? [])
    .map(({ time: _, ...entry }) => JSON.stringify(sorted(entry as Fields)))
    .sort();

function bodyOf(object: ApiObject): Json {
  const { managedFields: _, uid: __, ...metadata } = object.metadata ?? {};
  return withoutBlanks({ ...(object as Fields), metadata: metadata as Fields });
}

function run(step: Step, live: ApiObject | undefined, schema: Schema): ApiObject | string {
  const { manager, object, subresource = "" } = step;
  const apiVersion = object.apiVersion ?? "";
  const common = { manager, subresource, schema, apiVersion, time: TIME };
  if (step.op === "apply") {
    const request = { ...common, live, applied: object, force: step.force === true };
    const { object: next, conflicts } = applyServerSide(request);
    return conflicts.length > 0 ? conflictMessage(conflicts) : next;
  }
  const after = structuredClone(object);
  const before = live === undefined ? {} : { before: live };
  const managedFields = trackUpdate({ ...common, ...before, after, operation: "Update" });
  return { ...after, metadata: { ...after.metadata, managedFields } };
}

test.each(golden.map((history, index) => [index, history] as const))(
  "history %i ends as in Kubernetes",
  (_, { apiVersion, kind, steps }) => {
    const schema = schemaOf(apiVersion, kind);
    let live: ApiObject | undefined;
    for (const step of steps) {
      const frozen = JSON.stringify([live, step.object]);
      const next = run(step, live, schema);
      expect(JSON.stringify([live, step.object])).toBe(frozen);
      if (typeof next === "string") {
        expect(next).toBe(step.error ?? "no error");
        continue;
      }
      expect(step.error).toBeUndefined();
      expect(managersOf(next)).toEqual(
        (step.managedFields ?? []).map((entry) => JSON.stringify(sorted(entry as Fields))).sort(),
      );
      expect(bodyOf(next)).toEqual(withoutBlanks(step.result ?? {}));
      live = next;
    }
  },
);

const deployment = schemaOf("apps/v1", "Deployment");
const base = { schema: deployment, apiVersion: "apps/v1", time: TIME };

function apply(live: ApiObject | undefined, spec: Fields, manager = "a", force = false) {
  const applied = { apiVersion: "apps/v1", kind: "Deployment", metadata: { name: "x" }, spec };
  return applyServerSide({ ...base, live, applied: applied as ApiObject, manager, force });
}

const specOf = (object: ApiObject): Fields => (object as { spec?: Fields }).spec ?? {};

describe("apply", () => {
  test("what the applier no longer sets goes away, unless another owns it", () => {
    const first = apply(undefined, { replicas: 3, paused: true, minReadySeconds: 5 }).object;
    const second = apply(first, { minReadySeconds: 5 }, "b").object;
    const third = apply(second, { replicas: 3 }).object;
    expect(specOf(third)).toEqual({ replicas: 3, minReadySeconds: 5 });
  });

  test("a conflict names manager, version and field; force takes the field over", () => {
    const live = apply(undefined, { replicas: 3 }).object;
    const before = { ...live, metadata: { ...live.metadata, uid: "u" } };
    const after = { ...before, spec: { replicas: 4 } };
    const managedFields = trackUpdate({
      ...base,
      before,
      after,
      manager: "scaler",
      operation: "Update",
      subresource: "scale",
      apiVersion: "autoscaling/v1",
    });
    const scaled = { ...after, metadata: { ...before.metadata, managedFields } };
    const { conflicts } = apply(scaled, { replicas: 2 });
    expect(conflictMessage(conflicts)).toBe(
      'Apply failed with 1 conflict: conflict with "scaler" with subresource "scale" using ' +
        "autoscaling/v1: .spec.replicas",
    );
    const forced = apply(scaled, { replicas: 2 }, "a", true).object;
    expect(specOf(forced)["replicas"]).toBe(2);
    expect(forced.metadata?.managedFields?.map((entry) => entry.manager)).toEqual(["a"]);
  });

  test("a configuration with managedFields, or with an item twice, is refused", () => {
    const metadata = { name: "x", managedFields: [] };
    const applied = { apiVersion: "apps/v1", kind: "Deployment", metadata };
    expect(() => applyServerSide({ ...base, applied, manager: "a", force: false })).toThrow(
      "metadata.managedFields must be nil",
    );
    const containers = [{ name: "c" }, { name: "c" }];
    expect(() => apply(undefined, { template: { spec: { containers } } })).toThrow(
      '.spec.template.spec.containers: duplicate entries for key {"name":"c"}',
    );
  });

  test("kubectl takes over what it had applied in the old way", () => {
    const spec = { replicas: 1 };
    const configuration = JSON.stringify({ apiVersion: "apps/v1", kind: "Deployment", spec });
    const annotations = { "kubectl.kubernetes.io/last-applied-configuration": configuration };
    const object = { apiVersion: "apps/v1", metadata: { name: "x", annotations }, spec };
    const managedFields = trackUpdate({
      ...base,
      after: object as ApiObject,
      manager: "kubectl-client-side-apply",
      operation: "Update",
    });
    const live = { ...object, metadata: { ...object.metadata, managedFields } };
    expect(apply(live, { replicas: 2 }, "other").conflicts).toHaveLength(1);
    expect(apply(live, { replicas: 2 }, "kubectl").conflicts).toEqual([]);
  });

  test("ignored fields are neither set nor owned", () => {
    const applied = {
      apiVersion: "apps/v1",
      kind: "Deployment",
      metadata: { name: "x" },
      spec: { replicas: 1 },
      status: { replicas: 9 },
    };
    const { object } = applyServerSide({
      ...base,
      applied: applied as ApiObject,
      manager: "a",
      force: false,
      ignore: ["status"],
    });
    expect(object).not.toHaveProperty("status");
    expect(object.metadata?.managedFields?.[0]?.fieldsV1).toEqual({
      "f:spec": { "f:replicas": {} },
    });
  });
});

describe("update", () => {
  const created = (): ApiObject => {
    const after = { metadata: { name: "x", labels: { a: "1" } }, spec: { replicas: 1 } };
    const managedFields = trackUpdate({ ...base, after, manager: "m", operation: "Update" });
    return { ...after, metadata: { ...after.metadata, managedFields } };
  };

  test("without a change the entries stay the very same", () => {
    const before = created();
    const after = structuredClone(before);
    const entries = trackUpdate({ ...base, before, after, manager: "n", operation: "Update" });
    expect(entries).toEqual(before.metadata?.managedFields ?? []);
  });

  test("an object that was never tracked stays so, and an empty list forgets", () => {
    const before: ApiObject = { metadata: { name: "x" } };
    const after: ApiObject = { metadata: { name: "x", labels: { b: "2" } } };
    const request = { ...base, manager: "n", operation: "Update" } as const;
    expect(trackUpdate({ ...request, before, after })).toEqual([]);
    const reset = { ...after, metadata: { ...after.metadata, managedFields: [] } };
    expect(trackUpdate({ ...request, before: created(), after: reset })).toEqual([]);
  });

  test("nonsense from a client does not replace what is known", () => {
    const before = created();
    const managedFields = [{ manager: "evil", operation: "Steal" }] as ManagedFieldsEntry[];
    const after = { ...before, metadata: { ...before.metadata, managedFields } };
    const entries = trackUpdate({ ...base, before, after, manager: "n", operation: "Update" });
    expect(entries).toEqual(before.metadata?.managedFields ?? []);
  });

  test("many managers are merged into one, and writers may stay out of the list", () => {
    let live = created();
    for (let i = 0; i < limits.updateManagersMax + 5; i++) {
      const labels = { ...live.metadata?.labels, [`l${i}`]: "1" };
      const after = { ...live, metadata: { ...live.metadata, labels } };
      const time = `2024-01-01T00:00:${10 + i}Z`;
      const request = { ...base, before: live, after, manager: `m${i}`, time };
      const managedFields = trackUpdate({ ...request, operation: "Update" });
      expect(trackUpdate({ ...request, operation: "Update", skip: true })).toEqual(
        live.metadata?.managedFields ?? [],
      );
      live = { ...after, metadata: { ...after.metadata, managedFields } };
    }
    const names = live.metadata?.managedFields?.map((entry) => entry.manager);
    expect(names).toHaveLength(limits.updateManagersMax);
    expect(names?.[0]).toBe("ancient-changes");
  });
});

describe("custom resources", () => {
  const custom: Schema = {
    type: "object",
    properties: {
      spec: {
        type: "object",
        properties: {
          list: {
            type: "array",
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["id"],
            items: {
              type: "object",
              properties: { id: { type: "string" }, v: { type: "integer" } },
            },
          },
          atom: { type: "object", "x-kubernetes-map-type": "atomic" },
          free: { type: "object", "x-kubernetes-preserve-unknown-fields": true },
        },
      },
    },
  };
  test("merge as their schema says", () => {
    const request = { schema: custom, apiVersion: "e/v1", time: TIME, force: false };
    const object = (spec: Fields) =>
      ({ apiVersion: "e/v1", kind: "E", metadata: { name: "x" }, spec }) as ApiObject;
    const a = object({ list: [{ id: "1", v: 1 }], atom: { a: 1 }, free: { x: { y: 1 } } });
    const b = object({ list: [{ id: "2", v: 2 }], free: { x: { z: 2 } } });
    const first = applyServerSide({ ...request, applied: a, manager: "a" }).object;
    const both = applyServerSide({ ...request, live: first, applied: b, manager: "b" }).object;
    expect(specOf(both)).toEqual({
      list: [
        { id: "1", v: 1 },
        { id: "2", v: 2 },
      ],
      atom: { a: 1 },
      free: { x: { y: 1, z: 2 } },
    });
    const left = applyServerSide({ ...request, live: both, applied: object({}), manager: "a" });
    expect(specOf(left.object)).toEqual({ list: [{ id: "2", v: 2 }], free: { x: { z: 2 } } });
  });
});

const name = fc.constantFrom("a", "b", "c");
const labels = fc.dictionary(name, fc.constantFrom("1", "2"), { minKeys: 1 });
const containers = fc.uniqueArray(
  fc.record({ name, image: fc.constantFrom("i", "j") }, { requiredKeys: ["name"] }),
  { selector: (item) => item.name, minLength: 1 },
);
const spec = fc.record(
  {
    replicas: fc.nat(3),
    template: fc.record({ metadata: fc.record({ labels }), spec: fc.record({ containers }) }),
  },
  { requiredKeys: [] },
) as fc.Arbitrary<Fields>;

test("applying again changes nothing, not even times", () => {
  fc.assert(
    fc.property(spec, spec, (a, b) => {
      const live = apply(apply(undefined, a, "a").object, b, "b", true).object;
      const later = { ...base, time: "2030-01-01T00:00:00Z" };
      const metadata = { name: "x" };
      const applied = { apiVersion: "apps/v1", kind: "Deployment", metadata, spec: b } as ApiObject;
      const again = applyServerSide({ ...later, live, applied, manager: "b", force: false });
      expect(again.conflicts).toEqual([]);
      expect(again.object).toEqual(live);
    }),
  );
});

test("two appliers without overlap give the union, and leaving gives back what was", () => {
  fc.assert(
    fc.property(labels, labels, (a, b) => {
      const prefixed = (prefix: string, from: Record<string, string>) =>
        Object.fromEntries(Object.entries(from).map(([key, value]) => [prefix + key, value]));
      const template = (given: Record<string, string>) => ({
        template: { metadata: { labels: given } },
      });
      const [mine, theirs] = [prefixed("a", a), prefixed("b", b)];
      const first = apply(undefined, template(mine), "a").object;
      const { object: both, conflicts } = apply(first, template(theirs), "b");
      expect(conflicts).toEqual([]);
      expect(specOf(both)).toEqual(template({ ...mine, ...theirs }));
      expect(specOf(apply(both, {}, "b").object)).toEqual(template(mine));
    }),
  );
});

test("no field has two owners by update, whatever the history", () => {
  const histories = fc.array(fc.tuple(fc.constantFrom("a", "b", "c"), spec), { maxLength: 5 });
  fc.assert(
    fc.property(histories, (steps) => {
      let live: ApiObject | undefined;
      for (const [manager, given] of steps) {
        const after: ApiObject = { metadata: { name: "x" }, spec: given } as ApiObject;
        const before = live === undefined ? {} : { before: live };
        const request = { ...base, ...before, after, manager, operation: "Update" } as const;
        const managedFields = trackUpdate(request);
        live = { ...after, metadata: { ...after.metadata, managedFields } };
      }
      const paths = (live?.metadata?.managedFields ?? []).flatMap((entry) =>
        leaves(entry.fieldsV1 as Fields),
      );
      expect(new Set(paths).size).toBe(paths.length);
    }),
  );
});

function leaves(set: Fields, prefix = ""): string[] {
  const keys = Object.keys(set);
  if (keys.length === 0) return [prefix];
  return keys.flatMap((key) => leaves(set[key] as Fields, `${prefix}/${key}`));
}
