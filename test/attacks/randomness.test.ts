/** An attacker who knows the state of the language's generator predicts nothing that is sent. */
import { afterAll, afterEach, beforeAll, expect, test } from "bun:test";
import { nameSuffix, realRandom } from "#base/random.ts";
import type { ConfigMap } from "#resources/types.gen.ts";
import { startApi, type TestApi } from "#test/support/api.ts";

let api: TestApi;
const original = Math.random;

beforeAll(async () => {
  api = await startApi({ random: realRandom });
});
afterEach(() => {
  Math.random = original;
});
afterAll(() => api.close());

/** Stands for an attacker who recovered the generator's state from earlier values. */
function foreseen(): void {
  Math.random = () => 0.5;
}

test("names that the server makes are not predicted", async () => {
  foreseen();
  const names = new Set<string>();
  for (let i = 0; i < 8; i++) {
    const made: ConfigMap = await api.create("/api/v1/namespaces/default/configmaps", {
      metadata: { generateName: "guess-" },
    });
    names.add(made.metadata?.name ?? "");
  }
  expect(names.size).toBe(8);
});

test("pairing codes and DNS identifiers are not predicted", () => {
  foreseen();
  const codes = new Set(Array.from({ length: 64 }, () => nameSuffix(realRandom, 8)));
  const ids = new Set(Array.from({ length: 64 }, () => Math.floor(realRandom.next() * 0x10000)));
  expect(codes.size).toBe(64);
  expect(ids.size).toBeGreaterThan(56);
});

test("numbers are uniform and below 1", () => {
  const counts = new Array<number>(16).fill(0);
  for (let i = 0; i < 16_000; i++) {
    const value = realRandom.next();
    expect(value >= 0 && value < 1).toBe(true);
    const slot = Math.floor(value * 16);
    counts[slot] = (counts[slot] ?? 0) + 1;
  }
  for (const count of counts) expect(Math.abs(count - 1000)).toBeLessThan(250);
});
