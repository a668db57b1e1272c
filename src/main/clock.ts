/**
 * The process's clock: the machine's, but never behind the last good moment that the data directory
 * remembers. Pis have no battery for theirs.
 */
import { dlopen } from "bun:ffi";
import { join } from "node:path";
import type { Clock } from "#base/clock.ts";
import { messageOf } from "#base/errors.ts";
import { readText, writeDurably } from "#base/files.ts";
import { limits } from "#base/limits.ts";
import { EARLIEST_MS, type TrueClock, trueClock } from "#base/truetime.ts";
import type { Surroundings } from "./control.ts";

/** adjtimex(2) answers this while nothing keeps the clock; its structure has 208 bytes on 64 bit. */
const TIME_ERROR = 5;
const TIMEX_BYTES = 208;

/** Whether NTP keeps the machine's clock; asked seldom, for it may be asked with every look. */
function keptClock(clock: Clock): () => boolean {
  let known = false;
  let askedMs = Number.NEGATIVE_INFINITY;
  return () => {
    if (clock.monotonic() - askedMs < limits.clockSyncCheckMs) return known;
    askedMs = clock.monotonic();
    const { symbols, close } = dlopen("libc.so.6", {
      adjtimex: { args: ["ptr"], returns: "int" },
    });
    const state = symbols.adjtimex(new Uint8Array(TIMEX_BYTES));
    close();
    known = state >= 0 && state !== TIME_ERROR;
    return known;
  };
}

const iso = (ms: number): string => new Date(ms).toISOString();

/** The data directory must be there. Writes the time to it now and then until the signal aborts. */
export function openTrueClock(
  dataDir: string,
  around: Pick<Surroundings, "clock" | "log" | "signal">,
): TrueClock {
  const { clock: machine, log, signal } = around;
  const path = join(dataDir, "clock");
  const kept = Date.parse(readText(path)?.trim() ?? "");
  const floorMs = Math.max(EARLIEST_MS, Number.isNaN(kept) ? 0 : kept);
  const clock = trueClock({ clock: machine, floorMs, isKept: keptClock(machine) });
  if (clock.aheadMs() < 0) {
    const shown = { machine: iso(machine.now()), time: iso(clock.now()) };
    log.warn("the machine's clock is behind: going on from the last good moment", shown);
  }
  const keep = (): void => {
    try {
      writeDurably(path, `${iso(clock.now())}\n`);
    } catch (error) {
      log.warn("the time was not kept", { error: messageOf(error) });
    }
  };
  let cancel = machine.after(limits.clockKeepMs, again);
  function again(): void {
    keep();
    cancel = machine.after(limits.clockKeepMs, again);
  }
  signal.addEventListener("abort", () => {
    cancel();
    keep();
  });
  keep();
  return {
    ...clock,
    correct(nowMs) {
      const wasMs = clock.now();
      clock.correct(nowMs);
      if (Math.abs(nowMs - wasMs) <= limits.clockDoubtMs) return;
      log.warn("the server's clock shows another time: going by it", {
        from: iso(wasMs),
        to: iso(nowMs),
      });
    },
  };
}
