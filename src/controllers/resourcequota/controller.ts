import type { Clock } from "#base/clock.ts";
import type { CacheChange, Caches } from "#client/cache.types.ts";
import type { Client } from "#client/client.ts";
import { type Controller, type Trigger, trigger } from "#client/controller.ts";
import { contentKinds } from "#controllers/common/content.ts";
import { mustBeSure, plan, type State } from "#controllers/resourcequota/plan.ts";
import {
  type Content,
  contentIn,
  contentOf,
  countsAnew,
  isMeasured,
} from "#controllers/resourcequota/usage.ts";
import { type Kind, resourceOf } from "#resources/kind.ts";
import { persistentVolumeClaims } from "#resources/kinds/persistentvolumeclaim.ts";
import { pods } from "#resources/kinds/pod.ts";
import { resourceQuotas } from "#resources/kinds/resourcequota.ts";
import { services } from "#resources/kinds/service.ts";
import { type ApiObject, keyOf, type Stored } from "#resources/meta.ts";

const quotasIn = (object: Stored, caches: Caches): string[] =>
  caches.of(resourceQuotas).list(object.metadata.namespace).map(keyOf);

const comesOrGoes = ({ before, after }: CacheChange<ApiObject>): boolean =>
  before === undefined || after === undefined;

/** More than comings and goings: what an object uses may change. */
const listenWhole = (kind: Kind): Trigger =>
  trigger(kind, quotasIn, { changed: (change) => countsAnew(kind, change) });

/** Counts only: any kind, custom ones too, and only its comings and goings. */
function listenTo(kind: Kind): Trigger {
  return trigger(kind, quotasIn, { metadataOnly: true, changed: comesOrGoes });
}

function isNamed(kind: Kind, names: readonly string[]): boolean {
  const resource = resourceOf(kind);
  return names.some((name) => name === `count/${resource}` || name === resource);
}

/** As the caches show it where that is all there is up to now; a list where it is not. */
async function sureOf(content: Content, namespace: string, client: Client): Promise<Content> {
  const { kind, position } = content;
  const query = { namespace, resourceVersion: position };
  if (position !== "" && (await client.unchanged(kind, query))) return content;
  const metadataOnly = !isMeasured(kind);
  const { items, resourceVersion } = await client.list<ApiObject>(kind, {
    namespace,
    metadataOnly,
  });
  return contentIn(kind, items, resourceVersion);
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
    triggers: [pods, services, persistentVolumeClaims].map(listenWhole),
    grow(caches, listen) {
      const heard = new Set<string>();
      const update = (kinds: readonly Kind[]): void => {
        for (const kind of kinds) {
          const id = resourceOf(kind);
          if (!kind.namespaced || isMeasured(kind) || heard.has(id) || id === "events") continue;
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
      const { namespace = "" } = quota.metadata;
      const content = contentKinds(caches)
        .filter((kind) => kind.namespaced && (isMeasured(kind) || isNamed(kind, names)))
        .map((kind) => contentOf(kind, namespace, caches));
      return { quota, content, restedMs: restedMs(quota), now };
    },
    async confirm(state, client) {
      if (!mustBeSure(state, state.now)) return state;
      const { namespace = "" } = state.quota.metadata;
      const content = state.content.map((one) => sureOf(one, namespace, client));
      return { ...state, content: await Promise.all(content) };
    },
    plan,
  };
}
