import { describe, expect, test } from "bun:test";
import { compileJsonPath } from "#api/custom/jsonpath.ts";

const object = {
  spec: { replicas: 3, "odd.name": "x", list: [{ a: 1 }, { a: 2 }], map: { k: { v: 1 } } },
  status: {
    conditions: [
      { type: "Ready", status: "True" },
      { type: "Done", status: "False", count: 2 },
    ],
  },
};

describe("JSONPath of columns", () => {
  test.each([
    [".spec.replicas", [3]],
    ["{.spec.replicas}", [3]],
    [".spec.list[1].a", [2]],
    [".spec.list[-1].a", [2]],
    [".spec.list[*].a", [1, 2]],
    [".spec.odd\\.name", ["x"]],
    [".spec['odd.name']", ["x"]],
    [".spec.map.*.v", [1]],
    ['.status.conditions[?(@.type=="Ready")].status', ["True"]],
    [".status.conditions[?(@.type=='Done')].status", ["False"]],
    [".status.conditions[?(@.count==2)].type", ["Done"]],
    [".nope.deeper", []],
    [".spec.list[9]", []],
  ])("%s", (path, values) => {
    expect(compileJsonPath(path)(object)).toEqual(values);
  });

  test.each([".a[?(@.b>1)]", ".a[1:2]", ".a["])("%s is refused", (path) => {
    expect(() => compileJsonPath(path)).toThrow();
  });
});
