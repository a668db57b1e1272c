import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { findDuplicateFields } from "#api/duplicates.ts";

describe("doubled fields of a JSON text", () => {
  test.each([
    ['{"a":1,"b":2}', []],
    ['{"a":1,"a":2}', ["a"]],
    ['{"a":{"b":1,"c":2,"b":3}}', ["a.b"]],
    ['{"a":[{"b":1},{"b":1,"b":2}]}', ["a[1].b"]],
    ['{"a":"\\"a\\":1,","b":"}{"}', []],
    ['{"a\\u0062":1,"ab":2}', ["ab"]],
    ['{ "a" : 1 , "a" : 2 , "a" : 3 }', ["a"]],
    ['[{"a":1},{"a":1}]', []],
  ])("%s", (text, paths) => {
    expect(findDuplicateFields(text)).toEqual(paths);
  });

  test("none in what a serializer wrote", () => {
    fc.assert(
      fc.property(fc.json(), fc.boolean(), (text, pretty) => {
        const again = JSON.stringify(JSON.parse(text), null, pretty ? 2 : 0);
        expect(findDuplicateFields(again)).toEqual([]);
      }),
    );
  });
});
