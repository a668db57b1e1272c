/** Groups of custom resources have APIServices too, which come and go with their definitions. */
import { followChanges } from "#api/changes.ts";
import { peek } from "#api/codec.ts";
import type { Core } from "#api/core.ts";
import { deleteObject } from "#api/delete.ts";
import { ensure, internalCall } from "#api/ensure.ts";
import { ApiError } from "#api/errors.ts";
import { must } from "#base/assert.ts";
import { keepLevel } from "#base/level.ts";
import type { ApiObject } from "#resources/meta.ts";

const BUCKET = "apiregistration.k8s.io/apiservices";
const DEFINITIONS = "apiextensions.k8s.io/customresourcedefinitions/";
const LABEL = "kube-aggregator.kubernetes.io/automanaged";

/** As upstream: behind all built-in groups. */
const PRIORITY = { groupPriorityMinimum: 1_000, versionPriority: 100 };

function wantedOf(core: Core): Map<string, ApiObject> {
  const wanted = new Map<string, ApiObject>();
  for (const { custom, kind } of core.registry.all()) {
    if (!custom) continue;
    const { group, version } = kind;
    const name = `${version}.${group}`;
    wanted.set(name, {
      apiVersion: "apiregistration.k8s.io/v1",
      kind: "APIService",
      metadata: { name, labels: { [LABEL]: "true" } },
      spec: { group, version, ...PRIORITY },
    } as ApiObject);
  }
  return wanted;
}

async function reconcile(core: Core): Promise<void> {
  const wanted = wantedOf(core);
  for (const object of wanted.values()) await ensure(core, object);
  const page = await core.store.list({
    prefix: `${BUCKET}/`,
    filter: ({ labels }) => labels[LABEL] === "true",
  });
  const resource = must(core.registry.byBucket(BUCKET), BUCKET);
  for (const item of page.items) {
    const { name } = peek(item).metadata;
    if (wanted.has(name)) continue;
    try {
      await deleteObject(core, internalCall(resource, { name }), name, { dryRun: false });
    } catch (error) {
      if (!(error instanceof ApiError) || error.status.code !== 404) throw error;
    }
  }
}

/** Follows definitions from now on; answers how to end. */
export async function autoregister(core: Core): Promise<() => void> {
  const { store, clock, log } = core;
  const ending = new AbortController();
  const level = keepLevel({
    ...{ clock, log: log.part("apiservices"), signal: ending.signal },
    gatherMs: 0,
    work: () => reconcile(core),
  });
  // A definition's last write tells that its kinds are served: a turn later the registry has them.
  const onChanges = (): void => level.poke();
  const end = await followChanges({ store, log, prefix: DEFINITIONS, onChanges });
  level.poke();
  return () => {
    ending.abort();
    end();
  };
}
