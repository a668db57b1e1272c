import { type Controller, trigger } from "#client/controller.ts";
import { plan, type State } from "#controllers/serviceaccount/plan.ts";
import { namespaces } from "#resources/kinds/namespace.ts";
import { serviceAccounts } from "#resources/kinds/serviceaccount.ts";

export const serviceAccountController: Controller<State> = {
  name: "serviceaccount",
  kind: namespaces,
  triggers: [
    trigger(serviceAccounts, ({ metadata }) => [metadata.namespace ?? ""], {
      changed: ({ after }) => after === undefined,
    }),
  ],
  read(key, { caches }) {
    const namespace = caches.of(namespaces).get(key);
    if (namespace === undefined) return undefined;
    return { namespace, present: caches.of(serviceAccounts).get(`${key}/default`) !== undefined };
  },
  plan,
};
