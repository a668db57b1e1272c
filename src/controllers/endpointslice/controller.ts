import { limits } from "#base/limits.ts";
import type { Index } from "#client/cache.types.ts";
import { type Controller, trigger } from "#client/controller.ts";
import { podsByNode } from "#controllers/common/pods.ts";
import { addressChanged, podsWith, servicesOf } from "#controllers/common/service.ts";
import { MANAGED_BY } from "#controllers/endpointslice/desired.ts";
import { plan, type State } from "#controllers/endpointslice/plan.ts";
import { endpointSlices } from "#resources/kinds/endpointslice.ts";
import { nodes } from "#resources/kinds/node.ts";
import { pods } from "#resources/kinds/pod.ts";
import { services } from "#resources/kinds/service.ts";
import type { Stored } from "#resources/meta.ts";
import type { EndpointSlice, Node } from "#resources/types.gen.ts";

const ZONE = "topology.kubernetes.io/zone";

/** Slices of this controller by `namespace/service`. */
const byService: Index<EndpointSlice> = {
  name: "service",
  values: ({ metadata }) => {
    const name = metadata.labels?.["kubernetes.io/service-name"];
    const mine = metadata.labels?.["endpointslice.kubernetes.io/managed-by"] === MANAGED_BY;
    return name !== undefined && mine ? [`${metadata.namespace}/${name}`] : [];
  },
};

/** Every node hears of every slice: the more there are, the more changes become one. */
const SPACING_MS_PER_NODE = 0.25;
const SPACING_MS_MAX = 500;

export const endpointSliceController: Controller<State> = {
  name: "endpointslice",
  kind: services,
  spacingMs: (caches) =>
    Math.min(
      SPACING_MS_MAX,
      limits.controllerSpacingMs + SPACING_MS_PER_NODE * caches.of(nodes).list().length,
    ),
  triggers: [
    trigger(pods, servicesOf, { changed: addressChanged }),
    trigger(endpointSlices, (slice) => byService.values(slice)),
    trigger(
      nodes,
      (node, caches) =>
        caches
          .of(pods)
          .indexed(podsByNode, node.metadata.name)
          .flatMap((pod) => servicesOf(pod, caches)),
      {
        changed: ({ before, after }) =>
          before?.metadata.labels?.[ZONE] !== after?.metadata.labels?.[ZONE] ||
          (before === undefined) !== (after === undefined),
      },
    ),
  ],
  read(key, { caches, random }) {
    const service = caches.of(services).get(key);
    const selector = service?.spec?.selector ?? {};
    // Without a selector somebody else writes the slices; an external name has none.
    if (service === undefined || Object.keys(selector).length === 0) return undefined;
    if (service.spec?.type === "ExternalName") return undefined;
    const chosen = podsWith(caches.of(pods), service.metadata.namespace ?? "", selector);
    const around = new Map<string, Stored<Node>>();
    for (const { spec } of chosen) {
      const node = caches.of(nodes).get(spec?.nodeName ?? "");
      if (node !== undefined) around.set(node.metadata.name, node);
    }
    const slices = caches.of(endpointSlices).indexed(byService, key);
    return { service, pods: chosen, nodes: around, slices, seed: random() };
  },
  plan,
};
