import { expect, test } from "bun:test";
import { isBase, type Look, rateOf } from "#agents/kubelet/meter.ts";
import { limits } from "#base/limits.ts";

const look = (atMs: number, nanos: Record<string, number>): Look => ({
  atMs,
  cpuNanos: new Map(Object.entries(nanos)),
});

test("half a core for two seconds", () => {
  expect(rateOf(look(1_000, { a: 5e9 }), look(3_000, { a: 6e9 }), "a")).toBe(500_000_000);
});

test("no rate for what came, went, began again, or in no time", () => {
  expect(rateOf(look(0, {}), look(1_000, { a: 1 }), "a")).toBeUndefined();
  expect(rateOf(look(0, { a: 1 }), look(1_000, {}), "a")).toBeUndefined();
  expect(rateOf(look(0, { a: 2 }), look(1_000, { a: 1 }), "a")).toBeUndefined();
  expect(rateOf(look(5, { a: 1 }), look(5, { a: 2 }), "a")).toBeUndefined();
});

test("a look counts while it is neither too young nor too old", () => {
  const { usageWindowMsMin: min, usageWindowMsMax: max } = limits;
  expect([min - 1, min, max, max + 1].map(isBase)).toEqual([false, true, true, false]);
});
