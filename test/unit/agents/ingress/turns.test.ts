import { expect, test } from "bun:test";
import { Turns } from "#agents/ingress/turns.ts";
import { limits } from "#base/limits.ts";

const MAX = limits.ingressBegunMax;

/** Turns of the event loop come when the test says so. */
function start() {
  const waiting: Array<() => void> = [];
  const turns = new Turns(() => new Promise((resolve) => void waiting.push(resolve)));
  const turn = async (): Promise<void> => {
    for (const resolve of waiting.splice(0)) resolve();
    await Promise.resolve();
    await Promise.resolve();
  };
  const begun: number[] = [];
  const begin = (from: number, count: number): void => {
    for (let at = from; at < from + count; at++) turns.begin(() => begun.push(at));
  };
  return { turns, begin, begun, turn };
}

test("a few begin at once, a crowd in as many turns as it needs, in order", async () => {
  const { begin, begun, turn } = start();
  begin(0, 2 * MAX + 5);
  expect(begun.length).toBe(MAX);
  await turn();
  // Who comes now waits for those who came before.
  begin(2 * MAX + 5, 1);
  expect(begun.length).toBe(2 * MAX);
  await turn();
  expect(begun).toEqual(Array.from({ length: 2 * MAX + 6 }, (_, at) => at));
  begin(2 * MAX + 6, 1);
  expect(begun.at(-1)).toBe(2 * MAX + 6);
});

test("what begins may have others begin, which wait for the next turn", async () => {
  const { turns, begun, begin, turn } = start();
  begin(0, MAX);
  for (let at = 0; at < MAX; at++) turns.begin(() => turns.begin(() => begun.push(at)));
  await turn();
  expect(begun.length).toBe(MAX);
  await turn();
  expect(begun.length).toBe(2 * MAX);
});
