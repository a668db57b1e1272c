import { expect, test } from "bun:test";
import { fitsPattern } from "#api/custom/patterns.ts";

const TAKES_LONG_MS = 1_000;

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
  ["(", "anything", true],
])("%s and %j: %p", (pattern, text, fits) => {
  expect(fitsPattern(pattern, text)).toBe(fits);
});

test.each([
  ["^(a+)+$", 32],
  ["^(a|aa)*$", 45],
  ["^(?:a?){30}a{30}$", 29],
  [`^${"a?".repeat(28)}b$`, 28],
  ["^(([a-z])+.)+[A-Z]([a-z])+$", 32],
  ["a*a*a*a*b", 1_500],
  ["^[a-z]+[a-z]+!$", 100_000],
])("%s takes no longer over a text that nearly fits", (pattern, count) => {
  const before = performance.now();
  expect(fitsPattern(pattern, `${"a".repeat(count)}#`)).toBe(false);
  expect(performance.now() - before).toBeLessThan(TAKES_LONG_MS);
});
