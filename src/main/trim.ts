/**
 * Gives memory back when work is over: compiled code and free heap, and the pages of the program
 * that only the work needed. On a small machine others need them more; what is used again comes
 * back by itself, in about a tenth of a second of computing.
 */
import { dlopen } from "bun:ffi";
import { readFileSync } from "node:fs";
import type { Clock } from "#base/clock.ts";
import { messageOf } from "#base/errors.ts";
import { limits } from "#base/limits.ts";
import type { Log } from "#base/log.ts";

/** Advice of madvise(2): these pages are not expected to be used. */
const DONTNEED = 4;

/** What can be told of and done to a process. */
export interface Footprint {
  /** Memory in use that no file holds. */
  anonymousBytes(): number;
  /** Computing time so far, milliseconds. */
  computedMs(): number;
  shrink(): void;
  /** After a moment: what shrinking itself needed is not needed any more. */
  dropCode(): void;
}

export interface TrimOptions {
  readonly clock: Clock;
  readonly log: Log;
  readonly signal: AbortSignal;
  readonly footprint: Footprint;
}

/**
 * How much must have come together to be given back by a process that computed this much since the
 * last look, so long after it gave back before.
 */
function worthBytes(computedMs: number, sinceMs: number): number {
  if (computedMs <= limits.trimQuietMsMax) return limits.trimBytesMin;
  const isCalm = computedMs <= limits.trimCalmMsMax && sinceMs >= limits.trimCalmApartMs;
  return isCalm ? limits.trimCalmBytesMin : Number.POSITIVE_INFINITY;
}

/**
 * Looks now and then, trims after each time of work and once more when its history is forgotten,
 * never while there is any.
 */
export function trimWhenQuiet({ clock, log, signal, footprint }: TrimOptions): void {
  let computedMs = footprint.computedMs();
  /** After the last trim; undefined: this look tells. */
  let trimmedBytes: number | undefined = 0;
  let trimmedMs = clock.monotonic();
  /** When to trim once more. */
  let againMs = Number.POSITIVE_INFINITY;
  const later = (delayMs: number, run: () => void): void => {
    const cancel = clock.after(delayMs, () => {
      signal.removeEventListener("abort", cancel);
      run();
    });
    signal.addEventListener("abort", cancel, { once: true });
  };
  const look = (): void => {
    const before = computedMs;
    computedMs = footprint.computedMs();
    trimmedBytes ??= footprint.anonymousBytes();
    const grownBytes = footprint.anonymousBytes() - trimmedBytes;
    const spentMs = computedMs - before;
    const nowMs = clock.monotonic();
    const again = nowMs >= againMs && spentMs <= limits.trimQuietMsMax;
    if (again || grownBytes >= worthBytes(spentMs, nowMs - trimmedMs)) {
      trimmedBytes = undefined;
      trimmedMs = nowMs;
      againMs = again ? Number.POSITIVE_INFINITY : nowMs + limits.trimAgainMs;
      try {
        footprint.shrink();
        later(limits.trimSettleMs, () => footprint.dropCode());
      } catch (error) {
        log.debug("memory was not given back", { error: messageOf(error) });
        return;
      }
    }
    later(limits.trimLookMs, look);
  };
  later(limits.trimLookMs, look);
}

/** Parts of the program's file as they are on the disk: nothing was ever written to them. */
export function pristineRanges(smaps: string, program: string): Array<[number, number]> {
  const found: Array<[number, number]> = [];
  for (const part of smaps.split(/^(?=[0-9a-f]+-[0-9a-f]+ )/m)) {
    const head = /^([0-9a-f]+)-([0-9a-f]+) r-[x-]p \S+ \S+ \d+ +(\S+)$/m.exec(part);
    if (head?.[3] !== program || !/^Anonymous: +0 kB$/m.test(part)) continue;
    found.push([Number.parseInt(head[1] ?? "", 16), Number.parseInt(head[2] ?? "", 16)]);
  }
  return found;
}

function dropCode(): void {
  const { symbols, close } = dlopen("libc.so.6", {
    madvise: { args: ["usize", "usize", "int"], returns: "int" },
  });
  const smaps = readFileSync("/proc/self/smaps", "utf8");
  for (const [from, to] of pristineRanges(smaps, process.execPath)) {
    symbols.madvise(from, to - from, DONTNEED);
  }
  close();
}

export const ownFootprint: Footprint = {
  anonymousBytes: () => {
    const status = readFileSync("/proc/self/status", "utf8");
    return Number(/^RssAnon:\s+(\d+) kB$/m.exec(status)?.[1] ?? 0) * 1024;
  },
  computedMs: () => {
    const { user, system } = process.cpuUsage();
    return (user + system) / 1000;
  },
  shrink: () => Bun.shrink(),
  dropCode,
};
