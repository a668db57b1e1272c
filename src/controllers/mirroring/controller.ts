import type { Index } from "#client/cache.types.ts";
import { type Controller, trigger } from "#client/controller.ts";
import { isMirrored, MANAGED_BY, plan, type State } from "#controllers/mirroring/plan.ts";
import { endpoints } from "#resources/kinds/endpoints.ts";
import { endpointSlices } from "#resources/kinds/endpointslice.ts";
import { services } from "#resources/kinds/service.ts";
import { keyOf } from "#resources/meta.ts";
import type { EndpointSlice } from "#resources/types.gen.ts";

/** Mirrored slices by `namespace/service`. */
const mirrored: Index<EndpointSlice> = {
  name: "mirrored",
  values: ({ metadata }) => {
    const mine = metadata.labels?.["endpointslice.kubernetes.io/managed-by"] === MANAGED_BY;
    const name = metadata.labels?.["kubernetes.io/service-name"];
    return mine && name !== undefined ? [`${metadata.namespace}/${name}`] : [];
  },
};

export const mirroringController: Controller<State> = {
  name: "endpointslicemirroring",
  kind: endpoints,
  triggers: [
    trigger(services, (service) => [keyOf(service)]),
    trigger(endpointSlices, (slice) => mirrored.values(slice)),
  ],
  read(key, { caches, random }) {
    const found = caches.of(endpoints).get(key);
    const service = caches.of(services).get(key);
    const slices = caches.of(endpointSlices).indexed(mirrored, key);
    const shown = found !== undefined && service !== undefined && isMirrored(found, service);
    if (!shown && slices.length === 0) return undefined;
    return { endpoints: shown ? found : undefined, service, slices, seed: random() };
  },
  plan,
};
