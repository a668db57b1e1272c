import { expect, test } from "bun:test";
import { writeSync } from "node:fs";
import { join } from "node:path";
import { makePipes, onceRead, openForReading, openForWriting } from "#agents/runtime/pipes.ts";
import { limits } from "#base/limits.ts";
import { runProcess } from "#base/process.ts";
import { fakeClock } from "#test/support/clock.ts";
import { tempDir } from "#test/support/store.ts";

async function withPipe(use: (path: string) => Promise<void>): Promise<void> {
  const dir = tempDir();
  try {
    const path = join(dir.path, "in");
    await makePipes(runProcess, [path]);
    await use(path);
  } finally {
    dir.remove();
  }
}

test("input waits for a shim that opens it late, and none of it is lost", () =>
  withPipe(async (path) => {
    const clock = fakeClock();
    let there = false;
    const ready = onceRead(path, openForWriting(path), clock).finally(() => (there = true));
    await clock.advance(limits.execInputLookMs * 10);
    expect(there).toBe(false);
    const shim = openForReading(path);
    await clock.advance(limits.execInputLookMs);
    const input = await ready;
    writeSync(input.number, "abc");
    input.close();
    expect(await Bun.file(shim.number).text()).toBe("abc");
    shim.close();
  }));

test("it does not wait for ever", () =>
  withPipe(async (path) => {
    const clock = fakeClock();
    const ready = onceRead(path, openForWriting(path), clock);
    await clock.advance(limits.execInputMsMax + limits.execInputLookMs);
    (await ready).close();
    expect(clock.timers).toBe(0);
  }));
