import { expect, test } from "bun:test";
import { readingOf } from "#base/reading.ts";
import { nextTurn } from "#base/turn.ts";

test("a socket is resumed in another turn, unless it was paused again", async () => {
  const calls: string[] = [];
  const reading = readingOf({
    pause: () => calls.push("pause"),
    resume: () => calls.push("resume"),
  });
  reading.pause();
  reading.resume();
  expect(calls).toEqual(["pause"]);
  await nextTurn();
  expect(calls).toEqual(["pause", "resume"]);
  reading.pause();
  reading.resume();
  reading.pause();
  await nextTurn();
  expect(calls).toEqual(["pause", "resume", "pause", "pause"]);
  expect(reading.paused).toBe(true);
});
