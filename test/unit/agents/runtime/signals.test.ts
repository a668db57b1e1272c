import { expect, test } from "bun:test";
import { signalNumber } from "#agents/runtime/signals.ts";

test.each([
  ["SIGTERM", 15],
  ["TERM", 15],
  ["sigkill", 9],
  ["9", 9],
  ["SIGRTMIN", 34],
  ["SIGRTMIN+3", 37],
  ["RTMAX-1", 63],
])("%s is %d", (name, number) => {
  expect(signalNumber(name)).toBe(number);
});

test.each(["", "SIGNOPE", "0", "-1", "65", "1.5", "SIGRTMIN+99"])("%p is none", (name) => {
  expect(() => signalNumber(name)).toThrow("invalid signal");
});
