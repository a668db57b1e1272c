import { expect, test } from "bun:test";
import { EARLIEST_MS, trueClock } from "#base/truetime.ts";
import { fakeClock } from "#test/support/clock.ts";

const HOUR_MS = 3_600_000;
const KNOWN_MS = EARLIEST_MS + 1_000 * HOUR_MS;
const never = () => false;

test("a machine that boots in 1970 goes on from the last good moment", async () => {
  const machine = fakeClock(0);
  const clock = trueClock({ clock: machine, floorMs: KNOWN_MS, isKept: never });
  expect(clock.now()).toBe(KNOWN_MS);
  await machine.advance(HOUR_MS);
  expect(clock.now()).toBe(KNOWN_MS + HOUR_MS);
  expect(clock.aheadMs()).toBe(-KNOWN_MS);
});

test("a machine whose clock is right is believed", async () => {
  const machine = fakeClock(KNOWN_MS + 5 * HOUR_MS);
  const clock = trueClock({ clock: machine, floorMs: KNOWN_MS, isKept: never });
  expect(clock.now()).toBe(KNOWN_MS + 5 * HOUR_MS);
  machine.jump(-HOUR_MS);
  expect(clock.now()).toBe(KNOWN_MS + 4 * HOUR_MS);
});

test("a clock that is set while we look is believed, unless it is set to nonsense", async () => {
  const machine = fakeClock(0);
  const clock = trueClock({ clock: machine, floorMs: KNOWN_MS, isKept: never });
  machine.jump(HOUR_MS);
  expect(clock.now()).toBe(KNOWN_MS);
  // The disk's last moment was wrong itself: the operator knows better.
  machine.jump(KNOWN_MS - 50 * HOUR_MS);
  expect(clock.now()).toBe(KNOWN_MS - 49 * HOUR_MS);
});

test("a clock that falls back to 1970 meanwhile goes on as it was, until it is set", async () => {
  const machine = fakeClock(KNOWN_MS + HOUR_MS);
  const clock = trueClock({ clock: machine, floorMs: KNOWN_MS, isKept: never });
  expect(clock.now()).toBe(KNOWN_MS + HOUR_MS);
  await machine.advance(1_000);
  machine.jump(-KNOWN_MS);
  expect(clock.now()).toBe(KNOWN_MS + HOUR_MS + 1_000);
  await machine.advance(HOUR_MS);
  expect(clock.now()).toBe(KNOWN_MS + 2 * HOUR_MS + 1_000);
  machine.jump(KNOWN_MS - HOUR_MS);
  expect(clock.now()).toBe(machine.now());
});

test("a clock that NTP keeps is believed", () => {
  const machine = fakeClock(KNOWN_MS - HOUR_MS);
  let kept = false;
  const clock = trueClock({ clock: machine, floorMs: KNOWN_MS, isKept: () => kept });
  expect(clock.now()).toBe(KNOWN_MS);
  kept = true;
  expect(clock.now()).toBe(KNOWN_MS - HOUR_MS);
});

test("a node takes the time of its server, in either direction", async () => {
  const machine = fakeClock(0);
  const clock = trueClock({ clock: machine, floorMs: KNOWN_MS, isKept: never });
  clock.correct(KNOWN_MS + HOUR_MS);
  await machine.advance(1_000);
  expect(clock.now()).toBe(KNOWN_MS + HOUR_MS + 1_000);
  clock.correct(KNOWN_MS - HOUR_MS);
  expect(clock.now()).toBe(KNOWN_MS - HOUR_MS);
  machine.jump(KNOWN_MS - HOUR_MS - machine.now() + 500);
  expect(clock.now()).toBe(machine.now());
});

test("a clock that ticks between two looks at it is not behind", () => {
  let nowMs = KNOWN_MS;
  const ticking = { ...fakeClock(0), now: () => nowMs++ };
  const clock = trueClock({ clock: ticking, floorMs: KNOWN_MS - HOUR_MS, isKept: never });
  expect(clock.aheadMs()).toBe(0);
});
