import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import {
  type Labels,
  labelSelectorText,
  matchLabelSelector,
  parseFieldSelector,
  parseLabelSelector,
} from "#resources/selector.ts";

/** What labels.Parse and fields.ParseSelector (after a `@`) of apimachinery v0.34.4 make of it. */
const golden: string[][] = await Bun.file(
  new URL("./selector.golden.json", import.meta.url),
).json();

const SETS: Labels[] = [
  {},
  { a: "1" },
  { a: "b", x: "foo" },
  { x: "", y: "z" },
  { in: "in", notin: "x" },
  { a: "10", "example.com/k": "v" },
];

function answer(text: string): string {
  try {
    const match = text.startsWith("@")
      ? parseFieldSelector(text.slice(1)).matches
      : parseLabelSelector(text);
    return SETS.map((labels) => (match(labels) ? "1" : "0")).join("");
  } catch (error) {
    return `error: ${(error as Error).message}`;
  }
}

test.each(golden)("%p selects as in Kubernetes", (text = "", want = "") => {
  expect(answer(text)).toBe(want);
});

describe("objects", () => {
  test("none selects nothing, an empty one everything", () => {
    expect(matchLabelSelector(undefined)({ a: "1" })).toBe(false);
    expect(matchLabelSelector({})({ a: "1" })).toBe(true);
  });

  test("expressions", () => {
    const selector = {
      matchLabels: { app: "web" },
      matchExpressions: [
        { key: "tier", operator: "In", values: ["b", "a"] },
        { key: "old", operator: "DoesNotExist" },
        { key: "zone", operator: "NotIn", values: ["x"] },
        { key: "live", operator: "Exists" },
      ],
    };
    const match = matchLabelSelector(selector);
    expect(match({ app: "web", tier: "a", live: "" })).toBe(true);
    expect(match({ app: "web", tier: "a", live: "", zone: "x" })).toBe(false);
    expect(match({ app: "web", tier: "c", live: "" })).toBe(false);
    expect(labelSelectorText(selector)).toBe("app=web,live,!old,tier in (a,b),zone notin (x)");
  });

  test("an unknown operator is an error", () => {
    const selector = { matchExpressions: [{ key: "a", operator: "constructor" }] };
    expect(() => matchLabelSelector(selector)).toThrow(
      '"constructor" is not a valid label selector operator',
    );
  });

  test("members of every JavaScript object are no labels", () => {
    expect(parseLabelSelector("constructor")({})).toBe(false);
    expect(parseLabelSelector("!constructor")({})).toBe(true);
  });
});

const key = fc.constantFrom("a", "b", "c");
const values = fc.array(fc.constantFrom("1", "2", "3"), { minLength: 1, maxLength: 3 });
const expression = fc.record({
  key,
  operator: fc.constantFrom("In", "NotIn"),
  values,
});
const labels = fc.dictionary(key, fc.constantFrom("1", "2", "3"));

test("an object and its text select the same", () => {
  fc.assert(
    fc.property(labels, fc.array(expression), labels, (matchLabels, matchExpressions, given) => {
      const selector = { matchLabels, matchExpressions };
      const asText = parseLabelSelector(labelSelectorText(selector));
      expect(asText(given)).toBe(matchLabelSelector(selector)(given));
    }),
  );
});

test("any text either parses or throws an Error", () => {
  fc.assert(
    fc.property(fc.string(), (text) => {
      expect(answer(text)).toMatch(/^([01]{6}|error: )/);
    }),
  );
});
