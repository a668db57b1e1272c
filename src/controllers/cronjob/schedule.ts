/** When a CronJob is due. cron-parser reads the expression; the clock comes from the caller. */
import { CronExpressionParser } from "cron-parser";
import { messageOf } from "#base/errors.ts";
import { zonedText } from "#controllers/common/time.ts";

export interface Due {
  /** The last time at or before now that was not run yet, milliseconds. */
  dueMs: number | undefined;
  /** Times passed since the last run; counted up to `MISSED_MAX` and one more. */
  missed: number;
  /** The first time after now; undefined for a schedule that never comes. */
  nextMs: number | undefined;
  /** Why the schedule cannot be read. */
  error?: string;
}

/** Past so many missed times something is wrong with a clock (upstream warns too). */
export const MISSED_MAX = 100;

const UNITS: Readonly<Record<string, number>> = { h: 3_600_000, m: 60_000, s: 1000 };

/** `@every 1h30m`: from the last run on, whole seconds. */
function everyMs(schedule: string): number | undefined {
  const [, text = ""] = /^@every\s+((?:\d+[hms])+)$/.exec(schedule.trim()) ?? [];
  let sum = 0;
  for (const [, count, unit = ""] of text.matchAll(/(\d+)([hms])/g)) {
    sum += Number(count) * (UNITS[unit] ?? 0);
  }
  return sum >= 1000 ? sum : undefined;
}

function everyDue(stepMs: number, afterMs: number, now: number): Due {
  const steps = Math.max(0, Math.floor((now - afterMs) / stepMs));
  const dueMs = steps === 0 ? undefined : afterMs + steps * stepMs;
  return { dueMs, missed: steps, nextMs: afterMs + (steps + 1) * stepMs };
}

interface Asked {
  schedule: string;
  timeZone?: string | undefined;
  /** Times up to and including this one are done. */
  afterMs: number;
  now: number;
}

export function dueOf(options: Asked): Due {
  const { schedule, timeZone, afterMs, now } = options;
  const step = everyMs(schedule);
  if (step !== undefined) return everyDue(step, afterMs, now);
  try {
    return zonedDue(options);
  } catch (error) {
    // The parser never comes over clocks that are set back by half an hour (Lord Howe Island).
    try {
      if (timeZone !== undefined) return faceDue({ ...options, timeZone });
    } catch {
      // The schedule never comes, in no zone: as the parser said.
    }
    return { dueMs: undefined, missed: 0, nextMs: undefined, error: messageOf(error) };
  }
}

/** The times from `ms` on, or back from it; without end. */
function timesOf({ schedule, timeZone }: Asked, ms: number) {
  const times = CronExpressionParser.parse(schedule, {
    currentDate: new Date(ms),
    ...(timeZone !== undefined && { tz: timeZone }),
  });
  return { next: () => times.next().getTime(), prev: () => times.prev().getTime() };
}

function dueBefore(prev: () => number, afterMs: number): Pick<Due, "dueMs" | "missed"> {
  let dueMs: number | undefined;
  let missed = 0;
  for (; missed <= MISSED_MAX; missed++) {
    const time = prev();
    if (time <= afterMs) break;
    dueMs ??= time;
  }
  return { dueMs, missed };
}

function zonedDue(asked: Asked): Due {
  const nextMs = timesOf(asked, asked.now).next();
  return { ...dueBefore(timesOf(asked, asked.now + 1).prev, asked.afterMs), nextMs };
}

/** What the clocks of a zone show, whole seconds, as if they were those of UTC. */
const faceMs = (ms: number, timeZone: string): number =>
  Date.parse(`${zonedText(ms, timeZone).slice(0, 19)}Z`);

const DAY_MS = 86_400_000;
/** Clocks are set by less than this. */
const SHIFT_MS_MAX = 3 * 3_600_000;

/** When the clocks show it: at first where they do so twice, late where they never do. */
function shownMs(face: number, timeZone: string): number {
  const at = (ms: number): number => face - (faceMs(ms, timeZone) - ms);
  const [before, after] = [at(face - DAY_MS), at(face + DAY_MS)];
  return faceMs(before, timeZone) !== face && faceMs(after, timeZone) === face ? after : before;
}

/** The same by what the clocks show: the parser reads no zone. */
function faceDue(asked: Asked & { timeZone: string }): Due {
  const { schedule, timeZone, afterMs, now } = asked;
  const read = { schedule, timeZone: "UTC", afterMs, now };
  const face = faceMs(now, timeZone);
  const until = (step: () => number, holds: (ms: number) => boolean) => (): number => {
    for (;;) {
      const ms = shownMs(step(), timeZone);
      if (holds(ms)) return ms;
    }
  };
  // Where clocks are set back, a later moment may show an earlier face.
  const next = until(timesOf(read, face - SHIFT_MS_MAX).next, (ms) => ms > now);
  const prev = until(timesOf(read, face + SHIFT_MS_MAX).prev, (ms) => ms <= now);
  return { ...dueBefore(prev, afterMs), nextMs: next() };
}
