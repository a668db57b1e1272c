/** A wall clock that a running program sees, and that a test sets while it runs (libfaketime). */
import { existsSync, renameSync, writeFileSync } from "node:fs";

/** Undefined where it is missing. */
export const FAKE_TIME = ["/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu"]
  .map((lib) => `${lib}/faketime/libfaketimeMT.so.1`)
  .find((path) => existsSync(path));

export interface SetClock {
  /** Words before the program. */
  readonly before: readonly string[];
  /** The clock is ahead by so much from now on, as programs see within a second. */
  ahead(ms: number): void;
}

/** @throws Error where libfaketime is missing. */
export function setClock(file: string): SetClock {
  if (FAKE_TIME === undefined) throw new Error("libfaketime is missing");
  const ahead = (ms: number): void => {
    const sign = ms < 0 ? "-" : "+";
    writeFileSync(`${file}.new`, `${sign}${Math.abs(Math.round(ms / 1000))}\n`);
    renameSync(`${file}.new`, file);
  };
  ahead(0);
  const before = [
    ...["env", `LD_PRELOAD=${FAKE_TIME}`, `FAKETIME_TIMESTAMP_FILE=${file}`],
    ...["FAKETIME_DONT_FAKE_MONOTONIC=1", "FAKETIME_CACHE_DURATION=1"],
  ];
  return { before, ahead };
}
