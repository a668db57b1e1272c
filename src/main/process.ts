/** What `server` and `agent` share as processes: log, signals, and that nothing fails unheard. */
import { realClock } from "#base/clock.ts";
import { createLog, type Level } from "#base/log.ts";
import { realRandom } from "#base/random.ts";
import type { Surroundings } from "./control.ts";
import { Service } from "./service.ts";

export function surroundings(settings: {
  logLevel: Level;
  logFormat: "text" | "json";
}): Surroundings {
  const log = createLog({
    level: settings.logLevel,
    format: settings.logFormat,
    now: realClock.now,
    write: (line) => process.stderr.write(line),
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
