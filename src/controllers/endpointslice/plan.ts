/** Keeps the EndpointSlices of a Service that selects pods. */
import type { Plan } from "#client/controller.ts";
import { controllerReference } from "#controllers/common/owner.ts";
import { reconcileSlices } from "#controllers/common/slices.ts";
import { desiredGroups, sliceLabels } from "#controllers/endpointslice/desired.ts";
import { services } from "#resources/kinds/service.ts";
import type { Stored } from "#resources/meta.ts";
import type { EndpointSlice, Node, Pod, Service } from "#resources/types.gen.ts";

export interface State {
  service: Stored<Service>;
  /** Pods that the Service selects. */
  pods: ReadonlyArray<Stored<Pod>>;
  nodes: ReadonlyMap<string, Stored<Node>>;
  /** The Service's slices that this controller manages. */
  slices: ReadonlyArray<Stored<EndpointSlice>>;
  seed: number;
}

export function plan(state: State): Plan {
  const { service, slices, seed } = state;
  if (service.metadata.deletionTimestamp !== undefined) return { actions: [] };
  const actions = reconcileSlices({
    namespace: service.metadata.namespace ?? "",
    base: `${service.metadata.name}-`,
    labels: sliceLabels(service),
    owner: controllerReference(services, service),
    groups: desiredGroups(state),
    slices,
    seed,
  });
  return { actions };
}
