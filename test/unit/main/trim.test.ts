import { expect, test } from "bun:test";
import { limits } from "#base/limits.ts";
import { silentLog } from "#base/log.ts";
import { fakeClock } from "#test/support/clock.ts";
import { type Footprint, pristineRanges, trimWhenQuiet } from "../../../src/main/trim.ts";

const MB = 1024 * 1024;

function start() {
  const clock = fakeClock();
  const now = { anonymous: 50 * MB, computed: 0 };
  const done: string[] = [];
  const stop = new AbortController();
  const footprint: Footprint = {
    anonymousBytes: () => now.anonymous,
    computedMs: () => now.computed,
    shrink: () => {
      done.push("shrink");
      now.anonymous = 30 * MB;
    },
    dropCode: () => void done.push("drop"),
  };
  trimWhenQuiet({ clock, log: silentLog, signal: stop.signal, footprint });
  const looks = (count: number) => clock.advance(count * limits.trimLookMs);
  return { clock, now, done, stop, looks };
}

test("memory goes back after work, and once more when its history is forgotten", async () => {
  const { done, looks, now } = start();
  await looks(2);
  expect(done).toEqual(["shrink", "drop"]);
  now.anonymous += limits.trimBytesMin - 1;
  await looks(limits.trimAgainMs / limits.trimLookMs - 2);
  expect(done).toHaveLength(2);
  await looks(2);
  expect(done).toHaveLength(4);
  now.anonymous += limits.trimBytesMin - 1;
  await looks(50);
  expect(done).toHaveLength(4);
});

test("it goes back again after more work", async () => {
  const { done, looks, now } = start();
  await looks(3);
  now.anonymous += limits.trimBytesMin;
  await looks(2);
  expect(done).toEqual(["shrink", "drop", "shrink", "drop"]);
});

test("what work leaves is given back while it goes on, now and then", async () => {
  const { done, looks, now } = start();
  const work = async (count: number): Promise<void> => {
    for (let i = 0; i < count; i++) {
      now.computed += limits.trimQuietMsMax + 1;
      now.anonymous += limits.trimCalmBytesMin;
      await looks(1);
    }
  };
  await looks(3);
  done.length = 0;
  const apart = limits.trimCalmApartMs / limits.trimLookMs;
  await work(apart - 3);
  expect(done).toEqual([]);
  await work(2);
  expect(done).toEqual(["shrink", "drop"]);
  await work(apart - 2);
  expect(done).toHaveLength(2);
  await work(2);
  expect(done).toHaveLength(4);
});

test("work is not disturbed", async () => {
  const { done, looks, now } = start();
  for (let i = 0; i < 10; i++) {
    now.computed += limits.trimCalmMsMax + 1;
    await looks(1);
  }
  expect(done).toEqual([]);
  await looks(1);
  expect(done[0]).toBe("shrink");
});

test("nothing runs on after the end", async () => {
  const { clock, stop } = start();
  stop.abort();
  expect(clock.timers).toBe(0);
});

test("only unchanged parts of the program's own file may be dropped", () => {
  const smaps = [
    "00200000-00300000 r--p 00000000 fe:00 12 /usr/bin/bramble\nSize: 4 kB\nAnonymous:          0 kB\n",
    "00300000-00400000 r-xp 00100000 fe:00 12 /usr/bin/bramble\nSize: 4 kB\nAnonymous:          0 kB\n",
    "00400000-00500000 r--p 00200000 fe:00 12 /usr/bin/bramble\nSize: 4 kB\nAnonymous:         16 kB\n",
    "00500000-00600000 rw-p 00300000 fe:00 12 /usr/bin/bramble\nSize: 4 kB\nAnonymous:          0 kB\n",
    "00600000-00700000 r-xp 00000000 fe:00 13 /usr/lib/libc.so.6\nSize: 4 kB\nAnonymous:          0 kB\n",
    "00700000-00800000 rw-p 00000000 00:00 0 \nSize: 4 kB\nAnonymous:          0 kB\n",
  ].join("");
  expect(pristineRanges(smaps, "/usr/bin/bramble")).toEqual([
    [0x200000, 0x300000],
    [0x300000, 0x400000],
  ]);
});
