import { expect, test } from "bun:test";
import { realClock, sleep } from "#base/clock.ts";

test("a timer of more than 24.8 days does not run at once, and can be taken back", async () => {
  const ran: number[] = [];
  const cancels = [2 ** 31, 2 ** 31 - 1, 1e12].map((delayMs) =>
    realClock.after(delayMs, () => ran.push(delayMs)),
  );
  // Those that ran at once would have been first.
  await sleep(realClock, 20);
  for (const cancel of cancels) cancel();
  expect(ran).toEqual([]);
});
