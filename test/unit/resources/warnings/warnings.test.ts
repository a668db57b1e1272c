import { expect, test } from "bun:test";
import { kinds } from "#resources/kinds.ts";
import type { ApiObject } from "#resources/meta.ts";
import { definitions } from "#resources/schema.ts";
import { checkShape } from "#resources/shape.ts";
import { cases } from "./cases.ts";
import golden from "./warnings.golden.json";

/**
 * What Kubernetes v1.34.4 warns of, run by `warnings.oracle.go`, recorded by `warnings.record.ts`.
 */
const wanted: string[][] = golden;

const kindOf = ({ apiVersion, kind }: ApiObject) =>
  kinds.find((each) => {
    const group = each.group === "" ? "" : `${each.group}/`;
    return each.kind === kind && group + each.version === apiVersion;
  });

/** As it is when it was read and its defaults are set. */
function warningsOf(given: ApiObject): string[] {
  const kind = kindOf(given);
  const object = structuredClone(given);
  expect(checkShape(object, definitions()[kind?.schema as string] ?? {}).causes).toEqual([]);
  kind?.defaults(object);
  return kind?.warnings?.(object, undefined) ?? [];
}

test("each object was recorded", () => {
  expect(wanted).toHaveLength(cases.length);
});

test.each(cases.map((object, at) => [`${object.kind} ${at}`, at] as const))(
  "%s: what Kubernetes warns of, in its words",
  (_, at) => {
    const object = cases[at] as ApiObject;
    expect(warningsOf(object)).toEqual(wanted[at] ?? []);
  },
);

test("what clashes with all others is told in few words, and soon", () => {
  const many = <T>(one: (at: number) => T): T[] =>
    Array.from({ length: 20_000 }, (_, at) => one(at));
  const ports = many(() => ({ containerPort: 80, protocol: "TCP" }));
  const items = many(() => ({ key: "k", path: "p" }));
  const env = many(() => ({ name: "A", value: "" }));
  const before = performance.now();
  const pod = {
    ...{ apiVersion: "v1", kind: "Pod", metadata: { name: "n" } },
    spec: {
      containers: [{ name: "c", image: "i:1", ports, env }],
      volumes: [{ name: "v", configMap: { name: "m", items } }],
    },
  };
  const told = kindOf(pod)?.warnings?.(pod, undefined) ?? [];
  expect(told.length).toBeLessThan(100_000);
  expect(performance.now() - before).toBeLessThan(2_000);
});
