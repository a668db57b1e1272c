/** Keeps a Service's core Endpoints, for clients older than EndpointSlices. */
import type { Plan } from "#client/controller.ts";
import { deleteAction, patchAction } from "#controllers/common/patch.ts";
import { isReady, isTerminal } from "#controllers/common/pods.ts";
import {
  familiesOf,
  hostnameIn,
  isHeadless,
  podAddresses,
  podReference,
  targetPort,
} from "#controllers/common/service.ts";
import { sameValue } from "#resources/equal.ts";
import { endpoints as endpointsKind } from "#resources/kinds/endpoints.ts";
import type { Stored } from "#resources/meta.ts";
import type {
  EndpointAddress,
  EndpointPort,
  EndpointSubset,
  Endpoints,
  Pod,
  Service,
} from "#resources/types.gen.ts";

export interface State {
  /** Undefined once it is deleted: its Endpoints go too. */
  service: Stored<Service> | undefined;
  pods: ReadonlyArray<Stored<Pod>>;
  endpoints: Stored<Endpoints> | undefined;
}

/** Addresses in one object; past it they are cut and an annotation says so (upstream). */
const ADDRESSES_MAX = 1000;
const CUT = "endpoints.kubernetes.io/over-capacity";

/** Tells mirroring that the slices have a writer of their own. */
const SKIP_MIRROR = "endpointslice.kubernetes.io/skip-mirror";
const HEADLESS = "service.kubernetes.io/headless";

function portsOf(service: Service, pod: Pod): EndpointPort[] {
  return (service.spec?.ports ?? []).flatMap((port) => {
    const number = targetPort(pod, port);
    if (number === undefined) return [];
    const { name, protocol = "TCP", appProtocol } = port;
    return [{ ...(name && { name }), port: number, protocol, ...(appProtocol && { appProtocol }) }];
  });
}

interface Subset {
  ports: EndpointPort[];
  ready: EndpointAddress[];
  notReady: EndpointAddress[];
}

const byAddress = (a: EndpointAddress, b: EndpointAddress): number => (a.ip < b.ip ? -1 : 1);

function subsetsOf(service: Stored<Service>, pods: ReadonlyArray<Stored<Pod>>): EndpointSubset[] {
  const early = service.spec?.publishNotReadyAddresses === true;
  const [family] = familiesOf(service);
  const groups = new Map<string, Subset>();
  for (const pod of pods) {
    const [ip] = podAddresses(pod, family);
    const leaving = pod.metadata.deletionTimestamp !== undefined;
    if (ip === undefined || isTerminal(pod) || (leaving && !early)) continue;
    const ports = portsOf(service, pod);
    if (ports.length === 0 && !isHeadless(service)) continue;
    const hostname = hostnameIn(pod, service);
    const address: EndpointAddress = {
      ip,
      ...(hostname && { hostname }),
      ...(pod.spec?.nodeName && { nodeName: pod.spec.nodeName }),
      targetRef: podReference(pod),
    };
    const id = JSON.stringify(ports);
    const group = groups.get(id) ?? { ports, ready: [], notReady: [] };
    groups.set(id, group);
    (early || isReady(pod) ? group.ready : group.notReady).push(address);
  }
  return [...groups].sort().map(([, { ports, ready, notReady }]) => ({
    ...(ready.length > 0 && { addresses: ready.sort(byAddress) }),
    ...(notReady.length > 0 && { notReadyAddresses: notReady.sort(byAddress) }),
    ...(ports.length > 0 && { ports }),
  }));
}

function cut(subsets: EndpointSubset[]): { subsets: EndpointSubset[]; cut: boolean } {
  let room = ADDRESSES_MAX;
  let wasCut = false;
  const take = (addresses: EndpointAddress[] | undefined): EndpointAddress[] | undefined => {
    if (addresses === undefined) return undefined;
    const some = addresses.slice(0, room);
    wasCut ||= some.length < addresses.length;
    room -= some.length;
    return some.length === 0 ? undefined : some;
  };
  // Ready ones first, in all subsets.
  const ready = subsets.map(({ addresses }) => take(addresses));
  const notReady = subsets.map(({ notReadyAddresses }) => take(notReadyAddresses));
  const out = subsets.map(({ ports }, i) => ({
    ...(ready[i] && { addresses: ready[i] }),
    ...(notReady[i] && { notReadyAddresses: notReady[i] }),
    ...(ports && { ports }),
  }));
  return { subsets: out, cut: wasCut };
}

export function plan(state: State): Plan {
  const { service, endpoints } = state;
  if (service === undefined) {
    return { actions: endpoints === undefined ? [] : [deleteAction(endpointsKind, endpoints)] };
  }
  const made = cut(subsetsOf(service, state.pods));
  const { [HEADLESS]: _, ...own } = service.metadata.labels ?? {};
  const labels = {
    ...own,
    [SKIP_MIRROR]: "true",
    "endpoints.kubernetes.io/managed-by": "endpoint-controller",
    ...(isHeadless(service) && { [HEADLESS]: "" }),
  };
  if (endpoints === undefined) {
    const object: Endpoints = {
      metadata: {
        name: service.metadata.name,
        namespace: service.metadata.namespace ?? "",
        labels,
        ...(made.cut && { annotations: { [CUT]: "truncated" } }),
      },
      ...(made.subsets.length > 0 && { subsets: made.subsets }),
    };
    return { actions: [{ do: "create", kind: endpointsKind, object }] };
  }
  const { [CUT]: known, ...annotations } = endpoints.metadata.annotations ?? {};
  const next = { ...annotations, ...(made.cut && { [CUT]: known ?? "truncated" }) };
  const same = sameValue(endpoints.subsets, made.subsets);
  const parts: Partial<Endpoints> = {
    metadata: {
      ...endpoints.metadata,
      labels,
      ...(endpoints.metadata.annotations || made.cut ? { annotations: next } : {}),
    },
    ...(!same && { subsets: made.subsets }),
  };
  return { actions: patchAction(endpointsKind, endpoints, parts) };
}
