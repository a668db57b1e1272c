/** What apibench says of a server. */
import { loadProgram, must } from "#test/bench/programs.ts";
import type { Target } from "#test/bench/server.ts";

export interface Load {
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly errors: number;
}

/** By operation: create, get, put, merge-patch, list-pods, watch-fanout-500, … */
export type Loads = Record<string, Load>;

interface Line {
  op: string;
  per_s: number;
  p50_ms: number;
  p99_ms: number;
  errors: number;
  first_error?: string;
}

export function linesOf<T>(text: string): T[] {
  return text
    .split("\n")
    .filter((line) => line.startsWith("{"))
    .map((line) => JSON.parse(line) as T);
}

/**
 * One run with the load that the figures are stated for. `round` names its namespace; `before`:
 * words before the program, where it runs somewhere else.
 */
export async function apiLoad(
  target: Target,
  round: number,
  before: readonly string[] = [],
): Promise<Loads> {
  const program = await loadProgram("apibench");
  const flags = ["-n", "2000", "-c", "16", "-ns", `apibench-${round}`];
  const server = ["-server", target.url, "-token", target.token];
  const out = await must([...before, program, ...server, ...flags]);
  const loads: Loads = {};
  for (const { op, per_s, p50_ms, p99_ms, errors, first_error } of linesOf<Line>(out)) {
    if (errors > 0) console.error(`${op}: ${errors} errors, the first: ${first_error}`);
    loads[op] = { perSecond: per_s, p50Ms: p50_ms, p99Ms: p99_ms, errors };
  }
  return loads;
}
