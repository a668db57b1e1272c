import { type Controller, trigger } from "#client/controller.ts";
import { addressChanged, podsWith, servicesOf } from "#controllers/common/service.ts";
import { plan, type State } from "#controllers/endpoints/plan.ts";
import { endpoints } from "#resources/kinds/endpoints.ts";
import { pods } from "#resources/kinds/pod.ts";
import { services } from "#resources/kinds/service.ts";
import type { Stored } from "#resources/meta.ts";
import type { Endpoints } from "#resources/types.gen.ts";

/** Endpoints that somebody made by hand are not ours to delete. */
const isOurs = (object: Stored<Endpoints> | undefined): boolean =>
  object?.metadata.labels?.["endpoints.kubernetes.io/managed-by"] === "endpoint-controller";

export const endpointsController: Controller<State> = {
  name: "endpoints",
  kind: services,
  // Nothing of ours reads them, so a burst of changes may become one write.
  spacingMs: 1000,
  triggers: [
    trigger(pods, servicesOf, { changed: addressChanged }),
    trigger(endpoints, ({ metadata }) => [`${metadata.namespace}/${metadata.name}`], {
      changed: ({ after }) => after === undefined,
    }),
  ],
  read(key, { caches }) {
    const service = caches.of(services).get(key);
    const known = caches.of(endpoints).get(key);
    const selector = service?.spec?.selector ?? {};
    if (service === undefined)
      return isOurs(known) ? { service, pods: [], endpoints: known } : undefined;
    if (Object.keys(selector).length === 0 || service.spec?.type === "ExternalName")
      return undefined;
    const chosen = podsWith(caches.of(pods), service.metadata.namespace ?? "", selector);
    return { service, pods: chosen, endpoints: known };
  },
  plan,
};
