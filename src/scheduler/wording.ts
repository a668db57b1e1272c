/** Why a pod waits, in upstream's words: users and tools look for them. */
import type { Refusal } from "#scheduler/filters.ts";

/** How many nodes gave each reason. */
export function reasonsOf(refusals: Iterable<Refusal>): Map<string, number> {
  const counts = new Map<string, number>();
  for (const { reasons } of refusals) {
    for (const reason of reasons) counts.set(reason, (counts.get(reason) ?? 0) + 1);
  }
  return counts;
}

/** For nodes that were not looked at, for one filter named others. */
export const outsideReason = (filter: string): string =>
  `node(s) didn't satisfy plugin(s) [${filter}]`;

/** `0/3 nodes are available: 1 Insufficient cpu, 2 node(s) were unschedulable.` */
export function noneAvailable(total: number, why: string | ReadonlyMap<string, number>): string {
  if (total === 0) return "no nodes available to schedule pods";
  const head = `0/${total} nodes are available:`;
  if (typeof why === "string") return `${head} ${why}.`;
  // By code unit, as Go sorts text.
  const parts = [...why].map(([reason, count]) => `${count} ${reason}`).sort();
  return parts.length === 0 ? head : `${head} ${parts.join(", ")}.`;
}
