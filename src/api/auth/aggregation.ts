/** Writes the rules of aggregated roles whenever a part of theirs changed. */
import { aggregate, type Roles } from "#api/auth/roles.ts";
import type { Core } from "#api/core.ts";
import { amend } from "#api/ensure.ts";
import { sameJson } from "#api/json.ts";
import { keepLevel } from "#base/level.ts";
import type { ApiObject } from "#resources/meta.ts";

/** One pass: true when something was written. */
async function pass(core: Core, roles: Roles): Promise<boolean> {
  let changed = false;
  for (const role of [...roles.clusterRoles()]) {
    if (role.metadata.deletionTimestamp !== undefined) continue;
    const rules = aggregate(role, roles.clusterRoles());
    if (rules === undefined || sameJson(rules, role.rules ?? [])) continue;
    await amend(core, role, (live) => {
      const now = aggregate(live, roles.clusterRoles());
      return now && ({ rules: now } as ApiObject);
    });
    changed = true;
  }
  return changed;
}

/** Roles can be parts of parts: pass after pass until nothing changes. */
export async function aggregateRoles(core: Core, roles: Roles): Promise<void> {
  const PASSES_MAX = 5;
  for (let i = 0; i < PASSES_MAX; i++) if (!(await pass(core, roles))) return;
}

/** Keeps aggregated roles up to date from now on; answers how to end. */
export function followAggregation(core: Core, roles: Roles): () => void {
  const { clock } = core;
  const ending = new AbortController();
  const level = keepLevel({
    ...{ clock, log: core.log.part("roles"), signal: ending.signal },
    gatherMs: 0,
    work: () => aggregateRoles(core, roles),
  });
  roles.onChange(() => level.poke());
  return () => ending.abort();
}
