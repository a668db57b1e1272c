import { expect, test } from "bun:test";
import { keepLevel, type LevelOptions } from "#base/level.ts";
import { limits } from "#base/limits.ts";
import { silentLog } from "#base/log.ts";
import { fakeClock } from "#test/support/clock.ts";

function level(work: () => Promise<void>, more: Partial<LevelOptions> = {}) {
  const clock = fakeClock();
  const ending = new AbortController();
  const signal = ending.signal;
  const it = keepLevel({ clock, log: silentLog, signal, work, gatherMs: 5, ...more });
  return { clock, ending, it };
}

test("changes within a moment are one run", async () => {
  let runs = 0;
  const { clock, it } = level(async () => void runs++);
  it.poke();
  await clock.advance(4);
  it.poke();
  expect(runs).toBe(0);
  await clock.advance(1);
  expect(runs).toBe(1);
  await clock.advance(1_000);
  expect(runs).toBe(1);
});

test("a change during a run is another run, never at the same time", async () => {
  let running = 0;
  let most = 0;
  let runs = 0;
  const { clock, it } = level(async () => {
    runs++;
    most = Math.max(most, ++running);
    if (runs === 1) it.poke();
    await new Promise((done) => setImmediate(done));
    running--;
  });
  it.poke();
  await clock.advance(20);
  expect([runs, most]).toEqual([2, 1]);
});

test("who waits for a change is told when it is handled, though others go on coming", async () => {
  const ends: Array<() => void> = [];
  const { clock, it } = level(() => new Promise((end) => ends.push(end)));
  const told: string[] = [];
  const wait = (name: string) => void it.settled().then(() => told.push(name));
  it.poke();
  wait("first");
  await clock.advance(5);
  wait("under way");
  it.poke();
  wait("second");
  ends[0]?.();
  await clock.advance(5);
  expect(told).toEqual(["first", "under way"]);
  it.poke();
  ends[1]?.();
  await clock.advance(5);
  expect(told).toEqual(["first", "under way", "second"]);
});

test("a failed run is tried again later and later, also when it is poked", async () => {
  const at: number[] = [];
  let works = false;
  const { clock, it } = level(async () => {
    at.push(clock.monotonic());
    if (!works) throw new Error("no");
  });
  it.poke();
  await clock.advance(5);
  for (let i = 0; i < 10; i++) it.poke();
  await clock.advance(limits.levelBackoffMsMin * 3);
  expect(at.length).toBe(2);
  works = true;
  let settled = false;
  void it.settled().then(() => {
    settled = true;
  });
  await clock.advance(limits.levelBackoffMsMax);
  expect(at.length).toBe(3);
  expect(settled).toBe(true);
});

test("it looks again after a while by itself", async () => {
  let runs = 0;
  const { clock, it } = level(async () => void runs++, { everyMs: 1_000 });
  await clock.advance(5_000);
  expect(runs).toBe(0);
  it.poke();
  await clock.advance(3_100);
  expect(runs).toBe(4);
});

test("when it is over nothing runs and nobody waits", async () => {
  let runs = 0;
  const { clock, it, ending } = level(async () => void runs++, { everyMs: 1_000 });
  it.poke();
  const waiting = it.settled();
  ending.abort();
  await waiting;
  it.poke();
  await clock.advance(5_000);
  expect(runs).toBe(0);
  expect(clock.timers).toBe(0);
});
