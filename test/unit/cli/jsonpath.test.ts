import { expect, test } from "bun:test";
import fc from "fast-check";
import { jsonPath } from "#cli/jsonpath/evaluate.ts";
import { parsePath } from "#cli/jsonpath/parse.ts";

const list = {
  kind: "List",
  items: [
    { metadata: { name: "a", labels: { "x.y/z": "1" } }, spec: { n: 1, tags: ["p", "q"] } },
    { metadata: { name: "b" }, spec: { n: 2, on: true, tags: [] } },
    { metadata: { name: "c" }, spec: { n: 3 } },
  ],
};

const CASES: ReadonlyArray<[string, string]> = [
  ["{.kind}", "List"],
  ["kind is {.kind}!", "kind is List!"],
  ["{.items[*].metadata.name}", "a b c"],
  ["{.items[0].metadata.name}", "a"],
  ["{.items[-1].metadata.name}", "c"],
  ["{.items[0:2].metadata.name}", "a b"],
  ["{.items[1:].metadata.name}", "b c"],
  ["{.items[0,2].metadata.name}", "a c"],
  ["{.items[*]['metadata.name', 'spec.n']}", ""],
  ["{['kind']}", "List"],
  ["{.items[0].metadata.labels.x\\.y/z}", "1"],
  ["{.items[0].metadata.labels['x.y/z']}", "1"],
  ["{..name}", "a b c"],
  ["{.items[?(@.spec.n>1)].metadata.name}", "b c"],
  ["{.items[?(@.spec.n==2)].metadata.name}", "b"],
  ["{.items[?(@.metadata.name!='a')].spec.n}", "2 3"],
  ["{.items[?(@.spec.on)].metadata.name}", "b"],
  ["{.items[?(@.spec.on==true)].metadata.name}", "b"],
  ["{range .items[*]}{.metadata.name}={.spec.n}{'\\n'}{end}", "a=1\nb=2\nc=3\n"],
  ["{range .items[*]}[{range .spec.tags[*]}{@}{end}]{end}", "[pq][][]"],
  ['{.kind}{"\\t"}{.kind}', "List\tList"],
  ["{.items[0].spec}", '{"n":1,"tags":["p","q"]}'],
  ["{.nothing.at.all}", ""],
  ["{$.kind}", "List"],
  ["plain", "plain"],
];

for (const [template, wanted] of CASES) {
  test(template, () => {
    expect(jsonPath(template)(list)).toBe(wanted);
  });
}

test("what is malformed is refused, and says so", () => {
  for (const template of ["{.a", "{range .a[*]}{.b}", "{end}", "{.a[}", "{.a[?(@.b=1]}", "{'x}"]) {
    expect(() => jsonPath(template)).toThrow(/^error parsing jsonpath/);
  }
  expect(() => parsePath(".a}b")).toThrow(/^unexpected path string/);
});

test("a path is written in three ways", () => {
  for (const text of ["metadata.name", ".metadata.name", "{.metadata.name}"]) {
    expect(parsePath(text)).toEqual([
      { kind: "field", name: "metadata" },
      { kind: "field", name: "name" },
    ]);
  }
});

test("any text either parses or is refused as wrong use, and always ends", () => {
  fc.assert(
    fc.property(fc.string({ unit: fc.constantFrom(..."{}[]().@$*'\"?=<>,:ab1 \\-") }), (text) => {
      try {
        expect(typeof jsonPath(text)(list)).toBe("string");
      } catch (error) {
        expect((error as Error).name).toBe("UsageError");
      }
    }),
  );
});
