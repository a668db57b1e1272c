import type { Caches } from "#client/cache.types.ts";
import { type Controller, trigger } from "#client/controller.ts";
import { ingressAddress, plan, type State } from "#controllers/ingress/plan.ts";
import { ingresses } from "#resources/kinds/ingress.ts";
import { ingressClasses } from "#resources/kinds/ingressclass.ts";
import { nodes } from "#resources/kinds/node.ts";
import { keyOf } from "#resources/meta.ts";
import { isOwnedIngress } from "#resources/ownedingress.ts";

const all = (_: unknown, caches: Caches): string[] => caches.of(ingresses).list().map(keyOf);

export const ingressController: Controller<State> = {
  name: "ingress",
  kind: ingresses,
  triggers: [
    trigger(nodes, all, {
      changed: ({ before, after }) =>
        (before && ingressAddress(before)) !== (after && ingressAddress(after)),
    }),
    trigger(ingressClasses, all),
  ],
  read(key, { caches }) {
    const ingress = caches.of(ingresses).get(key);
    if (ingress === undefined) return undefined;
    if (!isOwnedIngress(ingress, caches.of(ingressClasses).list())) return undefined;
    return { ingress, nodes: caches.of(nodes).list() };
  },
  plan,
};
