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
