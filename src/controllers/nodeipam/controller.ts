import type { Controller } from "#client/controller.ts";
import { plan, type State } from "#controllers/nodeipam/plan.ts";
import { nodes } from "#resources/kinds/node.ts";
import type { Stored } from "#resources/meta.ts";
import type { Node } from "#resources/types.gen.ts";

/** One key for all nodes: so a range is never given away twice, however fast nodes join. */
const ALL = "all";

export const nodeIpamController = (clusterCidr: string, nodeBits = 24): Controller<State> => ({
  name: "nodeipam",
  kind: nodes,
  keys: () => [ALL],
  changed: ({ before, after }) =>
    before === undefined || !(after as Stored<Node> | undefined)?.spec?.podCIDR,
  triggers: [],
  read: (_key, { caches }) => ({ nodes: caches.of(nodes).list(), clusterCidr, nodeBits }),
  plan,
});
