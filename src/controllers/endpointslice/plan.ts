/** Keeps the EndpointSlices of a Service that selects pods. */
import type { Plan } from "#client/controller.ts";
import { controllerReference } from "#controllers/common/owner.ts";
import { isReady } from "#controllers/common/pods.ts";
import { reconcileSlices } from "#controllers/common/slices.ts";
import { timeMs } from "#controllers/common/time.ts";
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

/**
 * A pod that has just been started is ready a moment later: its slice is written once for both,
 * unless it takes longer than this.
 */
const START_MS_MAX = 3_000;

/** Pods that slices should tell of now, and when the next of the others is due. */
function settledPods({ service, pods, slices }: State, now: number) {
  if (service.spec?.publishNotReadyAddresses === true) return { pods };
  const shown = new Set(
    slices.flatMap(({ endpoints }) => endpoints.map(({ targetRef }) => targetRef?.uid)),
  );
  let againMs: number | undefined;
  const settled = pods.filter((pod) => {
    if (isReady(pod) || shown.has(pod.metadata.uid)) return true;
    const startMs = timeMs(pod.status?.startTime);
    const leftMs = startMs === undefined ? 0 : startMs + START_MS_MAX - now;
    // A start that is yet to come was told by a clock that is ahead.
    if (leftMs <= 0 || leftMs > START_MS_MAX) return true;
    againMs = Math.min(againMs ?? leftMs, leftMs);
    return false;
  });
  return { pods: settled, againMs };
}

export function plan(state: State, now: number): Plan {
  const { service, slices, seed } = state;
  if (service.metadata.deletionTimestamp !== undefined) return { actions: [] };
  const { pods, againMs } = settledPods(state, now);
  const actions = reconcileSlices({
    namespace: service.metadata.namespace ?? "",
    base: `${service.metadata.name}-`,
    labels: sliceLabels(service),
    owner: controllerReference(services, service),
    groups: desiredGroups({ ...state, pods }),
    slices,
    seed,
  });
  return againMs === undefined ? { actions } : { actions, againMs };
}
