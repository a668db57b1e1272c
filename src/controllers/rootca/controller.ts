import { type Controller, trigger } from "#client/controller.ts";
import { plan, ROOT_CA, type State } from "#controllers/rootca/plan.ts";
import { configMaps } from "#resources/kinds/configmap.ts";
import { namespaces } from "#resources/kinds/namespace.ts";

/** Other ConfigMaps are none of its business: it watches those of this name alone. */
const query = { fieldSelector: `metadata.name=${ROOT_CA}` };

export const rootCaController = (certificate: string): Controller<State> => ({
  name: "rootca",
  kind: namespaces,
  triggers: [trigger(configMaps, ({ metadata }) => [metadata.namespace ?? ""], { query })],
  read(key, { caches }) {
    const namespace = caches.of(namespaces).get(key);
    if (namespace === undefined) return undefined;
    return { namespace, map: caches.of(configMaps, query).get(`${key}/${ROOT_CA}`), certificate };
  },
  plan,
});
