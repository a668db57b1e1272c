/** What `server` and `agent` share as processes: log, signals, and that nothing fails unheard. */
import { fstatSync } from "node:fs";
import { realClock } from "#base/clock.ts";
import { createLog, type Level } from "#base/log.ts";
import { realRandom } from "#base/random.ts";
import type { Surroundings } from "./control.ts";
import { Service } from "./service.ts";

/** As journald reads it at a line's beginning (sd-daemon(3)), for `journalctl -p warning`. */
const SYSLOG: Record<Level, number> = { error: 3, warn: 4, info: 6, debug: 7 };

/** Whether stderr is the stream that systemd says it gave us (systemd.exec(5)). */
export function goesToJournal(stream: string | undefined, fd = 2): boolean {
  if (stream === undefined) return false;
  const { dev, ino } = fstatSync(fd);
  return stream === `${dev}:${ino}`;
}

export function surroundings(settings: {
  logLevel: Level;
  logFormat: "text" | "json";
}): Surroundings {
  const isJournal = goesToJournal(process.env["JOURNAL_STREAM"]);
  const log = createLog({
    level: settings.logLevel,
    format: settings.logFormat,
    now: realClock.now,
    write: (line, level) => process.stderr.write(isJournal ? `<${SYSLOG[level]}>${line}` : line),
  });
  const service = new Service({ env: process.env, clock: realClock, log: log.part("service") });
  const ending = new AbortController();
  for (const signal of ["SIGTERM", "SIGINT", "SIGUSR2"] as const) {
    process.on(signal, () => {
      if (signal === "SIGUSR2") service.machineGoesDown();
      // Asked twice: at once.
      if (ending.signal.aborted) process.exit(1);
      ending.abort();
    });
  }
  process.on("unhandledRejection", (reason) => {
    log.error("unhandled rejection", {
      error: reason instanceof Error ? (reason.stack ?? reason.message) : String(reason),
    });
  });
  return { clock: realClock, random: realRandom, log, signal: ending.signal, service };
}
