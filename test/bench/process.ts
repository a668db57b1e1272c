/** What the kernel says of a process. */
import { readdirSync, readFileSync } from "node:fs";

const TICKS_PER_SECOND = 100;

export function memory(pid: number): { rssMb: number; pssMb: number } {
  const text = readFileSync(`/proc/${pid}/smaps_rollup`, "utf8");
  const of = (name: string) =>
    Number(new RegExp(`^${name}:\\s+(\\d+)`, "m").exec(text)?.[1]) / 1024;
  return { rssMb: of("Rss"), pssMb: of("Pss") };
}

export function cpuTimes(pid: number): { userSeconds: number; systemSeconds: number } {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]?.split(" ") ?? [];
  const seconds = (at: number): number => Number(fields[at]) / TICKS_PER_SECOND;
  // utime, stime, and those of children that were waited for.
  return { userSeconds: seconds(11) + seconds(13), systemSeconds: seconds(12) + seconds(14) };
}

export function cpuSeconds(pid: number): number {
  const { userSeconds, systemSeconds } = cpuTimes(pid);
  return userSeconds + systemSeconds;
}

export function writtenBytes(pid: number): number {
  const text = readFileSync(`/proc/${pid}/io`, "utf8");
  const of = (name: string) => Number(new RegExp(`^${name}: (\\d+)`, "m").exec(text)?.[1]);
  return of("write_bytes") - of("cancelled_write_bytes");
}

/** Processes whose command line has all of these words. */
export function processesWith(...words: string[]): number[] {
  return readdirSync("/proc").flatMap((name) => {
    if (!/^\d+$/.test(name)) return [];
    try {
      const line = readFileSync(`/proc/${name}/cmdline`, "utf8").replaceAll("\0", " ");
      return words.every((word) => line.includes(word)) ? [Number(name)] : [];
    } catch {
      // It ended meanwhile.
      return [];
    }
  });
}
