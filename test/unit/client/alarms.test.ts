import { expect, test } from "bun:test";
import { Alarms } from "#client/alarms.ts";
import { fakeClock } from "#test/support/clock.ts";

function alarmsOf() {
  const clock = fakeClock();
  const rung: string[] = [];
  const alarms = new Alarms(clock, (key) => rung.push(`${key} ${clock.monotonic()}`));
  return { clock, alarms, rung };
}

test("keys are due each at its moment, by one timer, and none is left after the last", async () => {
  const { clock, alarms, rung } = alarmsOf();
  for (const delayMs of [30, 10, 20, 10, 40]) alarms.set(`${delayMs}`, delayMs);
  expect(clock.timers).toBe(1);
  await clock.advance(35);
  expect(rung).toEqual(["10 10", "20 20", "30 30"]);
  await clock.advance(35);
  expect(rung).toEqual(["10 10", "20 20", "30 30", "40 40"]);
  expect(clock.timers).toBe(0);
});

test("of two moments of a key the sooner one counts, until it is cancelled", async () => {
  const { clock, alarms, rung } = alarmsOf();
  alarms.set("a", 20);
  alarms.set("a", 30);
  alarms.set("b", 20);
  alarms.set("b", 5);
  alarms.set("c", 10);
  alarms.cancel("c");
  alarms.set("c", 25);
  await clock.advance(100);
  expect(rung).toEqual(["b 5", "a 20", "c 25"]);
});

test("cancelled ones leave no timer, and setting goes on after them", async () => {
  const { clock, alarms, rung } = alarmsOf();
  for (let at = 0; at < 1_000; at++) {
    alarms.set("a", 1_000 + at);
    alarms.cancel("a");
  }
  expect(clock.timers).toBe(0);
  alarms.set("stays", 10_000);
  for (let at = 0; at < 1_000; at++) {
    alarms.set("b", 1_000);
    alarms.cancel("b");
  }
  alarms.set("b", 50);
  await clock.advance(20_000);
  expect(rung).toEqual(["b 50", "stays 10000"]);
  alarms.set("c", 10);
  alarms.clear();
  expect(clock.timers).toBe(0);
});
