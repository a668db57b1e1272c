/**
 * Draws while the machine's host leaves it its processors. What it gives to other machines every
 * answer waits for: a program that only sends 5,000 packets a second back has a p99 of 0.2 ms where
 * nothing is taken, of 2 ms at 15 % and of 4 ms at 30 % (measured).
 */
import { readFileSync } from "node:fs";
import { percent } from "#test/bench/network/rows.ts";

/** A share of the processors' time that is little. */
const TAKEN_LITTLE = 0.05;

interface ProcessorTime {
  readonly all: number;
  readonly taken: number;
}

/** Since the machine began (proc_stat(5): the first line; `steal` is the eighth number). */
function processorTime(): ProcessorTime {
  const [line = ""] = readFileSync("/proc/stat", "utf8").split("\n", 1);
  const times = line.trim().split(/\s+/).slice(1, 9).map(Number);
  return { all: times.reduce((sum, each) => sum + each, 0), taken: times[7] ?? 0 };
}

function takenSince(before: ProcessorTime): number {
  const now = processorTime();
  return (now.taken - before.taken) / Math.max(1, now.all - before.all);
}

export interface QuietDraws<T> {
  readonly draws: readonly T[];
  /** When they were drawn: `while the host took 1 % to 4 %, the least of 9 draws`. */
  readonly when: string;
}

/** So many draws during which little was taken; after `triesMax`, those with the least. */
export async function drawnQuietly<T>(
  once: (draw: number) => Promise<T>,
  { count, triesMax }: { count: number; triesMax: number },
): Promise<QuietDraws<T>> {
  const tries: Array<{ draw: T; taken: number }> = [];
  let quiet = 0;
  for (let number = 1; number <= triesMax && quiet < count; number++) {
    const before = processorTime();
    const draw = await once(number);
    const taken = takenSince(before);
    tries.push({ draw, taken });
    if (taken <= TAKEN_LITTLE) quiet++;
  }
  const least = tries.sort((a, b) => a.taken - b.taken).slice(0, count);
  const range = `${percent(least[0]?.taken ?? 0)} to ${percent(least.at(-1)?.taken ?? 0)}`;
  return {
    draws: least.map(({ draw }) => draw),
    when: `while the host took ${range}, the least of ${tries.length} draws`,
  };
}
