import { type Controller, trigger } from "#client/controller.ts";
import { balancerAddress } from "#controllers/common/nodeaddress.ts";
import { plan, type State } from "#controllers/loadbalancer/plan.ts";
import { nodes } from "#resources/kinds/node.ts";
import { services } from "#resources/kinds/service.ts";
import { keyOf } from "#resources/meta.ts";

export const loadBalancerController: Controller<State> = {
  name: "loadbalancer",
  kind: services,
  triggers: [
    trigger(
      nodes,
      (_, caches) =>
        caches
          .of(services)
          .list()
          .filter(({ spec }) => spec?.type === "LoadBalancer")
          .map(keyOf),
      {
        changed: ({ before, after }) =>
          (before && balancerAddress(before)) !== (after && balancerAddress(after)),
      },
    ),
  ],
  read(key, { caches }) {
    const service = caches.of(services).get(key);
    const concerned =
      service?.spec?.type === "LoadBalancer" || service?.status?.loadBalancer?.ingress;
    return service && concerned ? { service, nodes: caches.of(nodes).list() } : undefined;
  },
  plan,
};
