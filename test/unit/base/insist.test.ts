import { expect, test } from "bun:test";
import { insist } from "#base/insist.ts";
import { silentLog } from "#base/log.ts";
import { fakeClock } from "#test/support/clock.ts";

class FullError extends Error {}

function parts(outcomes: Array<Error | undefined>) {
  const clock = fakeClock();
  const runs: number[] = [];
  const step = async () => {
    runs.push(clock.now());
    const error = outcomes[runs.length - 1];
    if (error !== undefined) throw error;
  };
  const passes = (error: unknown) => error instanceof FullError;
  return { clock, runs, about: { step, passes, what: "a", retryMs: 10, clock, log: silentLog } };
}

const settled = () => new Promise((resolve) => setImmediate(resolve));

test("a step that fails for now is run again until it went through", async () => {
  const { clock, runs, about } = parts([new FullError(), new FullError(), undefined]);
  await insist(about);
  expect(runs).toHaveLength(1);
  for (let at = 0; at < 5; at += 1) {
    await clock.advance(10);
    await settled();
  }
  expect(runs).toHaveLength(3);
});

test("a step that fails for good is told at once", async () => {
  const { runs, about } = parts([new Error("wrong")]);
  await expect(insist(about)).rejects.toThrow("wrong");
  expect(runs).toHaveLength(1);
});

test("a cancelled step is not run again", async () => {
  const { clock, runs, about } = parts([new FullError(), undefined]);
  const cancel = await insist(about);
  cancel();
  await clock.advance(10);
  await settled();
  expect(runs).toHaveLength(1);
});
