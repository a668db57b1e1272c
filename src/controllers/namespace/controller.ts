import { messageOf } from "#base/errors.ts";
import { limits } from "#base/limits.ts";
import type { Caches } from "#client/cache.types.ts";
import { type Client, isNotFound } from "#client/client.ts";
import { type Controller, trigger } from "#client/controller.ts";
import { contentKinds } from "#controllers/common/content.ts";
import { type Content, plan, type State } from "#controllers/namespace/plan.ts";
import { type Kind, resourceOf } from "#resources/kind.ts";
import { namespaces } from "#resources/kinds/namespace.ts";
import { pods } from "#resources/kinds/pod.ts";

interface Reading extends State {
  kinds: readonly Kind[];
}

async function look(client: Client, state: Reading): Promise<Reading> {
  const content: Content[] = [];
  const failures: string[] = [];
  const namespace = state.namespace.metadata.name;
  for (const kind of state.kinds) {
    try {
      const { items } = await client.list(kind, { namespace, metadataOnly: true });
      if (items.length > 0) content.push({ kind, objects: items });
    } catch (error) {
      // A definition may have gone since; all else must be asked again.
      if (!isNotFound(error)) failures.push(`${resourceOf(kind)}: ${messageOf(error)}`);
    }
  }
  return { ...state, content, failures };
}

/**
 * A look lists all that is left, and what it tells of that is a reason for the next: the more there
 * is, the longer it waits, so that each pod that goes costs the same among many as among few.
 */
const SPACING_MS_PER_POD = 0.5;
const SPACING_MS_MAX = 5_000;

function spacingMs(caches: Caches): number {
  const left = caches
    .of(namespaces)
    .list()
    .filter(({ metadata }) => metadata.deletionTimestamp !== undefined)
    .map(({ metadata }) => caches.of(pods).count(metadata.name));
  const longMs = Math.min(SPACING_MS_MAX, SPACING_MS_PER_POD * Math.max(0, ...left));
  return Math.max(limits.controllerSpacingMs, longMs);
}

export const namespaceController: Controller<Reading> = {
  name: "namespace",
  kind: namespaces,
  spacingMs,
  triggers: [
    // The end of the last pod is what a namespace waits for longest. One look goes through all that
    // is left, so that the others' ends ask for none: its next is due by time.
    trigger(
      pods,
      ({ metadata: { namespace: name = "" } }, caches) => {
        if (caches.of(pods).holds(name)) return [];
        return caches.of(namespaces).get(name)?.metadata.deletionTimestamp ? [name] : [];
      },
      { changed: ({ after }) => after === undefined },
    ),
  ],
  read(key, { caches }) {
    const namespace = caches.of(namespaces).get(key);
    if (namespace?.metadata.deletionTimestamp === undefined) return undefined;
    const kinds = contentKinds(caches).filter((kind) => kind.namespaced);
    return { namespace, content: [], failures: [], kinds };
  },
  confirm: (state, client) => look(client, state),
  plan,
};
