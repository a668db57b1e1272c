/** When a CronJob is due. cron-parser reads the expression; the clock comes from the caller. */
import { CronExpressionParser } from "cron-parser";
import { messageOf } from "#base/errors.ts";

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

/** `afterMs`: times up to and including this one are done. */
export function dueOf(options: {
  schedule: string;
  timeZone?: string | undefined;
  afterMs: number;
  now: number;
}): Due {
  const { schedule, timeZone, afterMs, now } = options;
  const step = everyMs(schedule);
  if (step !== undefined) return everyDue(step, afterMs, now);
  const at = (ms: number) =>
    CronExpressionParser.parse(schedule, {
      currentDate: new Date(ms),
      ...(timeZone !== undefined && { tz: timeZone }),
    });
  try {
    const nextMs = at(now).next().getTime();
    const past = at(now + 1);
    let dueMs: number | undefined;
    let missed = 0;
    for (; missed <= MISSED_MAX; missed++) {
      const time = past.prev().getTime();
      if (time <= afterMs) break;
      dueMs ??= time;
    }
    return { dueMs, missed, nextMs };
  } catch (error) {
    return { dueMs: undefined, missed: 0, nextMs: undefined, error: messageOf(error) };
  }
}
