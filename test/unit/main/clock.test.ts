/** What a node's log says of its clock. */
import { expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createLog } from "#base/log.ts";
import { EARLIEST_MS } from "#base/truetime.ts";
import { fakeClock } from "#test/support/clock.ts";
import { openTrueClock } from "../../../src/main/clock.ts";

const HOUR_MS = 3_600_000;

test("a server's other time is told once, with both; a clock that drifts is not", () => {
  const dir = mkdtempSync(join(tmpdir(), "bramble-clock-"));
  const end = new AbortController();
  const lines: string[] = [];
  const write = (line: string) => void lines.push(line);
  const log = createLog({ level: "info", format: "text", now: () => 0, write });
  const machine = fakeClock(EARLIEST_MS + HOUR_MS);
  try {
    const clock = openTrueClock(dir, { clock: machine, log, signal: end.signal });
    clock.correct(machine.now() + 5_000);
    expect(lines).toEqual([]);
    for (const _ of ["asked", "asked again"]) clock.correct(machine.now() + 1_000 * HOUR_MS);
    expect(lines).toHaveLength(1);
    expect(lines[0]).toContain("WARN  the server's clock shows another time: going by it ");
    expect(lines[0]).toContain("from=2026-01-01T01:00:05.000Z to=2026-02-11T17:00:00.000Z");
  } finally {
    end.abort();
    rmSync(dir, { recursive: true, force: true });
  }
});
