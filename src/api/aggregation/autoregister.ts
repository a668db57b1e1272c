/** Groups of custom resources have APIServices too, which come and go with their definitions. */
import { followChanges } from "#api/changes.ts";
import { peek } from "#api/codec.ts";
import type { Core } from "#api/core.ts";
import { deleteObject } from "#api/delete.ts";
import { ensure, internalCall } from "#api/ensure.ts";
import { ApiError } from "#api/errors.ts";
import { oneAtATime } from "#base/again.ts";
import { must } from "#base/assert.ts";
import { messageOf } from "#base/errors.ts";
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
  let cancel: () => void = () => {};
  let ended = false;
  const run = oneAtATime(
    async () => {
      if (!ended) await reconcile(core);
    },
    (error) =>
      core.log.warn("API services of custom groups lag behind", { error: messageOf(error) }),
  );
  // A definition's last write tells that its kinds are served: by then the registry has them.
  const soon = (): void => {
    cancel();
    cancel = core.clock.after(0, () => void run());
  };
  const { store, log } = core;
  const end = await followChanges({ store, log, prefix: DEFINITIONS, onChanges: soon });
  soon();
  return () => {
    ended = true;
    cancel();
    end();
  };
}
