import { expect, test } from "bun:test";
import { type Fit, fitsPattern } from "#api/custom/patterns.ts";
import { quickPattern } from "#resources/regexp.ts";

const fitOf = (pattern: string, text: string): Fit => fitsPattern(pattern, text, { steps: 0 });

test.each<[string, string, boolean]>([
  ["^[a-z]+$", "abc", true],
  ["^[a-z]+$", "aBc", false],
  ["(?i)^[a-z]+$", "aBc", true],
  ["b", "abc", true],
  ["^a.c$", "a\nc", false],
  ["(?s)^a.c$", "a\nc", true],
  ["^a\\z", "a", true],
  ["^\\pL+$", "é", true],
  ["^[[:alpha:]]+$", "ab", true],
  ["^[[:alpha:]]+$", "a1", false],
  ["^(?P<x>a|b)*$", "abab", true],
  ["^([a-z]+\\.)+[a-z]{2,}$", "a.b.example", true],
  ["^([a-z]+\\.)+[a-z]{2,}$", "a.b.", false],
  ["^[+*]+\\+[)]*$", "+*+))", true],
  ["^.$", "\r", true],
  ["^\\s$", "\u00a0", false],
  ["^[]a]$", "]", true],
  ["(", "anything", true],
])("%s and %j: %p", (pattern, text, fits) => {
  expect(fitOf(pattern, text)).toBe(fits ? "fits" : "differs");
});

test.each([
  ["^[a-z0-9-]+$", true],
  ["^v\\d{1,3}$", true],
  ["a*b", true],
  ["a*a*b", false],
  ["^(a|b)(a|b)$", false],
  ["^(a?)?$", false],
  ["^a?a?a?$", false],
  ["\\bx", false],
  ["^(?i)a$", false],
  ["(?=a)", false],
  ["(a)\\1", false],
])("%s is simple: %p", (pattern, simple) => {
  expect(quickPattern(pattern) !== undefined).toBe(simple);
});

test("the patterns of one object together are bounded", () => {
  const work = { steps: 0 };
  const fits = Array.from({ length: 100 }, () => fitsPattern("^(a+)+$", "a".repeat(50_000), work));
  expect(fits[0]).toBe("fits");
  expect(fits.at(-1)).toBe("costly");
});
