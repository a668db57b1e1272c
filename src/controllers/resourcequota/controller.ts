import type { Clock } from "#base/clock.ts";
import type { CacheChange, Caches } from "#client/cache.types.ts";
import { type Controller, type Trigger, trigger } from "#client/controller.ts";
import { contentKinds } from "#controllers/common/content.ts";
import { mustBeSure, plan, type State } from "#controllers/resourcequota/plan.ts";
import { type Kind, resourceOf } from "#resources/kind.ts";
import { persistentVolumeClaims } from "#resources/kinds/persistentvolumeclaim.ts";
import { pods } from "#resources/kinds/pod.ts";
import { resourceQuotas } from "#resources/kinds/resourcequota.ts";
import { services } from "#resources/kinds/service.ts";
import { type ApiObject, keyOf, type Stored } from "#resources/meta.ts";
import type { Pod } from "#resources/types.gen.ts";

/** Kinds of which more than the number counts. */
const WHOLE: readonly Kind[] = [pods, services, persistentVolumeClaims];

const quotasIn = (object: Stored, caches: Caches): string[] =>
  caches.of(resourceQuotas).list(object.metadata.namespace).map(keyOf);

const comesOrGoes = ({ before, after }: CacheChange<ApiObject>): boolean =>
  before === undefined || after === undefined;

function countsAnew({ before, after }: CacheChange<Pod>): boolean {
  if (before === undefined || after === undefined) return true;
  return (
    before.status?.phase !== after.status?.phase ||
    before.metadata.deletionTimestamp !== after.metadata.deletionTimestamp ||
    JSON.stringify(before.spec?.containers) !== JSON.stringify(after.spec?.containers)
  );
}

/** Counts only: any kind, custom ones too, and only its comings and goings. */
function listenTo(kind: Kind): Trigger {
  return trigger(kind, quotasIn, { metadataOnly: true, changed: comesOrGoes });
}

function isNamed(kind: Kind, names: readonly string[]): boolean {
  const resource = resourceOf(kind);
  return names.some((name) => name === `count/${resource}` || name === resource);
}

export function resourceQuotaController(clock: Clock): Controller<State & { now: number }> {
  /** When this version of a quota was first looked at: no jump of the clock makes it older. */
  const firstSeen = new WeakMap<object, number>();

  function restedMs(quota: object): number {
    const nowMs = clock.monotonic();
    const since = firstSeen.get(quota);
    if (since === undefined) firstSeen.set(quota, nowMs);
    return since === undefined ? 0 : nowMs - since;
  }

  return {
    name: "resourcequota",
    kind: resourceQuotas,
    spacingMs: 100,
    triggers: [
      trigger(pods, quotasIn, { changed: countsAnew }),
      trigger(services, quotasIn),
      trigger(persistentVolumeClaims, quotasIn),
    ],
    grow(caches, listen) {
      const heard = new Set<string>(WHOLE.map(resourceOf));
      const update = (kinds: readonly Kind[]): void => {
        for (const kind of kinds) {
          const id = resourceOf(kind);
          if (!kind.namespaced || heard.has(id) || id === "events") continue;
          heard.add(id);
          listen(listenTo(kind));
        }
      };
      // A kind is listened to from the first quota on that counts it.
      const quotas = caches.of(resourceQuotas);
      const look = (object: Stored<ApiObject> | undefined): void => {
        const names = Object.keys((object as { spec?: { hard?: object } })?.spec?.hard ?? {});
        update(contentKinds(caches).filter((kind) => isNamed(kind, names)));
      };
      quotas.onChange(({ after }) => look(after));
      for (const quota of quotas.list()) look(quota);
    },
    read(key, { caches, now }) {
      const quota = caches.of(resourceQuotas).get(key);
      if (quota === undefined) return undefined;
      const names = Object.keys(quota.spec?.hard ?? {});
      const { namespace } = quota.metadata;
      const content = contentKinds(caches)
        .filter((kind) => kind.namespaced && (WHOLE.includes(kind) || isNamed(kind, names)))
        .map((kind) => {
          const cache = WHOLE.includes(kind) ? caches.of(kind) : caches.metadataOf(kind);
          return { kind, objects: cache.list(namespace) };
        });
      return { quota, content, restedMs: restedMs(quota), now };
    },
    async confirm(state, client) {
      if (!mustBeSure(state, state.now)) return state;
      const { namespace = "" } = state.quota.metadata;
      const content = state.content.map(async ({ kind }) => {
        const metadataOnly = !WHOLE.includes(kind);
        const { items } = await client.list<ApiObject>(kind, { namespace, metadataOnly });
        return { kind, objects: items };
      });
      return { ...state, content: await Promise.all(content) };
    },
    plan,
  };
}
