/**
 * Regular expressions that come from objects. Each of these took an engine that backtracks, or one
 * without limits, minutes to years.
 */
import { expect, test } from "bun:test";
import { compileCel } from "#api/cel/compile.ts";
import { string, type Type } from "#api/cel/engine/types.ts";
import { fitsPattern } from "#api/custom/patterns.ts";
import { valueCauses } from "#api/custom/values.ts";

const CPU_MS_MAX = 1_500;

/** Milliseconds of CPU that the process takes. */
function cpuOf(run: () => void): number {
  const before = process.cpuUsage();
  run();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000;
}

test.each([
  ["choices", `^${"(.|a)".repeat(40)}[bc]$`, `${"a".repeat(40)}d`],
  ["choices of two lengths", `^${"(aa|a)".repeat(40)}[bc]$`, `${"a".repeat(80)}d`],
  ["optional letters", `^${"a?".repeat(30)}[bc]$`, `${"a".repeat(30)}d`],
  ["repeats in repeats", "^(a+)+$", `${"a".repeat(100_000)}!`],
  ["repeats side by side", "a*a*a*[bc]", "a".repeat(5_000)],
  ["a choice of all texts", "^(a|b|ab)*[cd]$", `${"ab".repeat(5_000)}e`],
])("a pattern of %s", (_, pattern, text) => {
  const cpu = cpuOf(() => expect(fitsPattern(pattern, text, { steps: 0 })).not.toBe("fits"));
  expect(cpu).toBeLessThan(CPU_MS_MAX);
});

test("a pattern of a custom resource over many short values", () => {
  const items = { type: "string", pattern: "a?a?a?a?a*a*[bc]" };
  const schema = { type: "object", properties: { list: { type: "array", items } } };
  const list = Array.from({ length: 3_000 }, () => "a".repeat(500));
  const cpu = cpuOf(() => {
    const causes = valueCauses(schema, { list });
    expect(causes.at(-1)?.message).toContain("past the limit of 10000000 steps");
  });
  expect(cpu).toBeLessThan(3 * CPU_MS_MAX);
});

test("keyed lists of custom resources are compared in linear time", () => {
  const item = { type: "object", properties: { a: { type: "string" }, b: { type: "integer" } } };
  const list = {
    ...{ type: "array", items: { ...item, properties: { ...item.properties } } },
    ...{ "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["a"] },
  } as const;
  const schema = { type: "object", properties: { list, c: { type: "integer", minimum: 1 } } };
  const items = Array.from({ length: 20_000 }, (_, at) => ({ a: `${at}`, b: at }));
  const changed = items.map(({ a, b }) => ({ a, b: b + 1 })).toReversed();
  const cpu = cpuOf(() => {
    const causes = valueCauses(schema, { list: changed, c: 0 }, { list: items, c: 1 });
    expect(causes).toHaveLength(1);
  });
  expect(cpu).toBeLessThan(CPU_MS_MAX);
});

const variables = new Map<string, Type>([
  ["text", string],
  ["pattern", string],
]);

test.each([
  ["findAll that looks through the rest each time", "text.findAll(pattern).size() > 0", "a.*b|a"],
  ["a pattern that is large", "text.matches(pattern)", "a{1000}".repeat(500)],
  ["a pattern of many large classes", "text.matches(pattern)", "\\pL".repeat(8_000)],
  ["a pattern of repeated repeats", "text.matches(pattern)", "(?:[ab]{1,30}){1,30}[cd]"],
])("CEL: %s", (_, expression, pattern) => {
  const program = compileCel(expression, variables);
  const texts: Record<string, string> = { text: "a".repeat(30_000), pattern };
  let error: unknown;
  const cpu = cpuOf(() => {
    ({ error } = program.run((name) => texts[name]));
  });
  expect(error).toBeDefined();
  expect(cpu).toBeLessThan(CPU_MS_MAX);
});

test("CEL: a search within its limits has its answer", () => {
  const program = compileCel("text.findAll(pattern).size() == 1000", variables);
  const texts: Record<string, string> = { text: "ab".repeat(1_000), pattern: "a" };
  expect(program.run((name) => texts[name])).toMatchObject({ value: true });
});
