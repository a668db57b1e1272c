/** Counts what a namespace uses of its quota; the API refuses what would be too much. */
import type { Plan } from "#client/controller.ts";
import { statusAction } from "#controllers/common/patch.ts";
import type { Content } from "#controllers/resourcequota/usage.ts";
import { resourceQuotas } from "#resources/kinds/resourcequota.ts";
import type { Stored } from "#resources/meta.ts";
import { compareQuantity, fromNano } from "#resources/quantity.ts";
import { countsGroup, isHeld, quantityOf } from "#resources/quotausage.ts";
import type { ResourceQuota } from "#resources/types.gen.ts";

export interface State {
  quota: Stored<ResourceQuota>;
  /** What the namespace's objects use, of each kind that the quota names. */
  content: readonly Content[];
  /** How long the quota is as it is, milliseconds. */
  restedMs: number;
}

/**
 * A write is charged before its object is there, by one sync of the disk (a second on a slow card):
 * a lower count is believed only once nothing was charged for this long.
 */
const LOWER_AFTER_MS = 1_500;

interface Counted {
  used: Record<string, string>;
  /** Something is used less than the status says. */
  lower: boolean;
}

function count({ quota, content }: State, now: number): Counted {
  const hard = quota.spec?.hard ?? {};
  const sums = new Map(Object.keys(hard).map((name) => [name, 0n]));
  for (const { group, amounts } of content.flatMap((one) => one.sums)) {
    if (!countsGroup(quota, group)) continue;
    for (const [name, amount] of amounts) {
      const sum = sums.get(name);
      if (sum !== undefined && isHeld(group, name, now)) sums.set(name, sum + amount);
    }
  }
  const before = quota.status?.used ?? {};
  const used: Record<string, string> = {};
  let lower = false;
  for (const [name, sum] of sums) {
    const text = quantityOf(name, fromNano(sum));
    const known = before[name];
    const order = known === undefined ? -1 : compareQuantity(known, text);
    // The same amount may be written in another unit: that is no change.
    used[name] = known !== undefined && order === 0 ? known : text;
    if (order > 0) lower = true;
  }
  return { used, lower };
}

/** A cache that is behind would count too little: what is to count less must be all there is. */
export const mustBeSure = (state: State, now: number): boolean =>
  state.restedMs >= LOWER_AFTER_MS && count(state, now).lower;

export function plan(state: State, now: number): Plan {
  const { quota, restedMs } = state;
  const { used, lower } = count(state, now);
  if (lower && restedMs < LOWER_AFTER_MS) {
    return { actions: [], againMs: LOWER_AFTER_MS - restedMs };
  }
  const hard = quota.spec?.hard ?? {};
  return { actions: statusAction(resourceQuotas, quota, { hard, used }, { guarded: true }) };
}
