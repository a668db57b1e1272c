/**
 * The least strategic merge patch that turns one pod status into another; undefined when they are
 * equal.
 */
import type { Json, PodCondition, PodStatus } from "#resources/types.gen.ts";

/** Owned by others (scheduler, controllers): never removed by the kubelet. */
const LEFT_ALONE = new Set([
  "nominatedNodeName",
  "resourceClaimStatuses",
  "extendedResourceClaimStatus",
]);

/** Whatever the order of keys; a key without a value is no key. */
const same = (a: unknown, b: unknown): boolean => Bun.deepEquals(a, b);

const plain = (value: unknown): Json => JSON.parse(JSON.stringify(value)) as Json;

/** They merge by type: what a condition no longer says must be taken away by name. */
function changedConditions(before: PodCondition[], after: PodCondition[]): Json[] {
  const over = before.filter(({ type }) => !after.some((condition) => condition.type === type));
  const removed = over.map(({ type }): Json => ({ type, $patch: "delete" }));
  const changed = after.flatMap((condition) => {
    const old = before.find(({ type }) => type === condition.type);
    if (same(condition, old)) return [];
    const gone = Object.keys(old ?? {}).filter((key) => !(key in condition));
    return [plain({ ...Object.fromEntries(gone.map((key) => [key, null])), ...condition })];
  });
  return [...changed, ...removed];
}

/** Lists that merge by `ip`: what is gone must be deleted by name. */
function addressList(before: Array<{ ip: string }>, after: Array<{ ip: string }>): Json[] {
  const gone = before.filter(({ ip }) => !after.some((other) => other.ip === ip));
  return [...after.map(({ ip }) => ({ ip })), ...gone.map(({ ip }) => ({ ip, $patch: "delete" }))];
}

export function statusPatch(
  uid: string,
  before: PodStatus | undefined,
  after: PodStatus,
): Json | undefined {
  const old: Record<string, unknown> = { ...before };
  const status: Record<string, Json> = {};
  for (const [key, value] of Object.entries(after)) {
    if (key === "conditions") {
      const changed = changedConditions(before?.conditions ?? [], after.conditions ?? []);
      if (changed.length > 0) status["conditions"] = changed;
    } else if (key === "podIPs" || key === "hostIPs") {
      if (!same(old[key], value)) status[key] = addressList(before?.[key] ?? [], after[key] ?? []);
    } else if (value !== undefined && !same(old[key], value)) status[key] = plain(value);
  }
  for (const key of Object.keys(old)) {
    if (!(key in after) && !LEFT_ALONE.has(key)) status[key] = null;
  }
  return Object.keys(status).length === 0 ? undefined : { metadata: { uid }, status };
}
