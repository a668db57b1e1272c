import { expect, test } from "bun:test";
import fc from "fast-check";
import { parse } from "yaml";
import { elastic } from "#cli/elastic.ts";
import { jsonText, printerFor, yamlText } from "#cli/output.ts";
import { Columns } from "#cli/table.ts";
import { durationMs } from "#cli/watching.ts";
import { tries } from "#test/support/property.ts";

test("columns are three apart, at least six wide, and the last is ragged", () => {
  const columns = new Columns();
  expect(
    columns.lines([
      ["NAME", "A", "LAST"],
      ["web", "1", "x"],
    ]),
  ).toBe("NAME   A     LAST\nweb    1     x\n");
  // Rows of a watch keep the widths of those before.
  expect(columns.lines([["w", "2", "y"]])).toBe("w      2     y\n");
});

test("tab stops are shared by neighbours alone", () => {
  expect(elastic("a:\tx\nlonger:\ty\nplain\nb:\tz")).toBe("a:       x\nlonger:  y\nplain\nb:  z");
});

test("YAML has its keys in order, lists at their key, and quotes what looks like a value", () => {
  const value = { b: ["x", { y: 1 }], a: { yes: "yes", n: "1", empty: "", text: "one\ntwo\n" } };
  expect(yamlText(value)).toBe(`a:
  empty: ""
  "n": "1"
  text: |
    one
    two
  "yes": "yes"
b:
- x
- "y": 1
`);
});

test("property: whatever is printed as YAML or JSON reads back the same", () => {
  fc.assert(
    fc.property(fc.jsonValue({ maxDepth: 4 }), (value) => {
      // JSON has no negative zero.
      const wanted = JSON.parse(JSON.stringify(value));
      expect(JSON.parse(jsonText(value))).toEqual(wanted);
      expect(parse(yamlText(value))).toEqual(wanted);
    }),
    tries(100),
  );
});

test("custom columns say <none> for what is not there", () => {
  const print = printerFor("custom-columns=NAME:.metadata.name,IP:.status.ip");
  expect(print({ metadata: { name: "web" } })).toBe("NAME   IP\nweb    <none>\n");
  expect(() => printerFor("custom-columns=NAME")).toThrow(/expected <header>:<json-path-expr>/);
  expect(() => printerFor("go-template={{.}}")).toThrow(/^unable to match a printer/);
});

test("times are read as Go reads them", () => {
  const cases: Array<[string, number | undefined]> = [
    ["30s", 30_000],
    ["1m30s", 90_000],
    ["1.5h", 5_400_000],
    ["200ms", 200],
    ["0", 0],
    ["5", 5_000],
    ["abc", undefined],
    ["1m x", undefined],
  ];
  for (const [text, wanted] of cases) expect(durationMs(text)).toBe(wanted);
});
