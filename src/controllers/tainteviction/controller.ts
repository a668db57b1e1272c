import type { Caches } from "#client/cache.types.ts";
import { type Controller, trigger } from "#client/controller.ts";
import { podsByNode } from "#controllers/common/pods.ts";
import { plan, type State } from "#controllers/tainteviction/plan.ts";
import { nodes } from "#resources/kinds/node.ts";
import { pods } from "#resources/kinds/pod.ts";
import { keyOf, type Stored } from "#resources/meta.ts";
import type { Node, Pod } from "#resources/types.gen.ts";

const drives = (node: Stored<Node> | undefined): string =>
  JSON.stringify((node?.spec?.taints ?? []).filter(({ effect }) => effect === "NoExecute"));

/** The node of a pod, where it drives pods out. A node that begins to calls its pods itself. */
function driving(pod: Stored<Pod> | undefined, caches: Caches): Stored<Node> | undefined {
  const node = caches.of(nodes).get(pod?.spec?.nodeName ?? "");
  return node?.spec?.taints?.some(({ effect }) => effect === "NoExecute") ? node : undefined;
}

export const taintEvictionController: Controller<State> = {
  name: "tainteviction",
  kind: pods,
  keys: (pod, caches) => (driving(pod as Stored<Pod>, caches) === undefined ? [] : [keyOf(pod)]),
  changed({ before, after }) {
    const [was, is] = [before as Stored<Pod> | undefined, after as Stored<Pod> | undefined];
    const moved = was?.spec?.nodeName !== is?.spec?.nodeName;
    return moved || was?.spec?.tolerations?.length !== is?.spec?.tolerations?.length;
  },
  triggers: [
    trigger(
      nodes,
      (node, caches) => caches.of(pods).indexed(podsByNode, node.metadata.name).map(keyOf),
      { changed: ({ before, after }) => drives(before) !== drives(after) },
    ),
  ],
  read(key, { caches }) {
    const pod = caches.of(pods).get(key);
    const node = driving(pod, caches);
    if (pod === undefined || node === undefined) return undefined;
    return { pod, node };
  },
  plan,
};
