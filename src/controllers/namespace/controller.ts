import { messageOf } from "#base/errors.ts";
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

export const namespaceController: Controller<Reading> = {
  name: "namespace",
  kind: namespaces,
  triggers: [
    // The end of a pod is what a namespace waits for longest.
    trigger(
      pods,
      (pod, caches) => {
        const namespace = caches.of(namespaces).get(pod.metadata.namespace ?? "");
        return namespace?.metadata.deletionTimestamp ? [namespace.metadata.name] : [];
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
