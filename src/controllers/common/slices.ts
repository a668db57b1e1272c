/** Puts endpoints into slices with as few writes as the changes allow. */
import type { Action } from "#client/controller.ts";
import { suffixesFrom } from "#controllers/common/hash.ts";
import { deleteAction, patchAction } from "#controllers/common/patch.ts";
import { generatedName } from "#controllers/common/pods.ts";
import { sameValue } from "#resources/equal.ts";
import { endpointSlices } from "#resources/kinds/endpointslice.ts";
import type { Stored } from "#resources/meta.ts";
import type {
  DiscoveryV1EndpointPort,
  Endpoint,
  EndpointSlice,
  OwnerReference,
} from "#resources/types.gen.ts";

/** Endpoints of one family on one set of ports. */
export interface Group {
  addressType: "IPv4" | "IPv6";
  ports: DiscoveryV1EndpointPort[];
  /** By `endpointKey`. */
  endpoints: Map<string, Endpoint>;
}

/** The address and the pod that has it. */
export const endpointKey = (endpoint: Endpoint): string =>
  `${endpoint.addresses.join()} ${endpoint.targetRef?.uid ?? ""}`;

/** Ports in one order, so that equal sets have equal texts. */
export const portsKey = (ports: readonly DiscoveryV1EndpointPort[] | undefined): string =>
  (ports ?? [])
    .map(
      ({ name = "", port, protocol, appProtocol = "" }) =>
        `${name} ${port} ${protocol} ${appProtocol}`,
    )
    .sort()
    .join();

/** Endpoints a slice (max-endpoints-per-slice upstream). */
const SLICE_MAX = 100;

interface Draft {
  slice: Stored<EndpointSlice>;
  endpoints: Endpoint[];
  changed: boolean;
}

/** The slice with what is still wanted, as it is wanted now; takes that out of `rest`. */
function kept(slice: Stored<EndpointSlice>, rest: Map<string, Endpoint>): Draft {
  const endpoints: Endpoint[] = [];
  let changed = false;
  for (const old of slice.endpoints ?? []) {
    const key = endpointKey(old);
    const wanted = rest.get(key);
    rest.delete(key);
    if (wanted !== undefined) endpoints.push(wanted);
    if (wanted === undefined || !sameValue(old, wanted)) changed = true;
  }
  return { slice, endpoints, changed };
}

function fill(draft: Draft, rest: Map<string, Endpoint>): void {
  for (const [key, endpoint] of rest) {
    if (draft.endpoints.length >= SLICE_MAX) return;
    draft.endpoints.push(endpoint);
    draft.changed = true;
    rest.delete(key);
  }
}

/**
 * Puts what is left where it costs no write more: into slices that change anyway, then into one
 * with room.
 */
function place(drafts: readonly Draft[], rest: Map<string, Endpoint>): Endpoint[][] {
  const fullest = [...drafts].sort((a, b) => b.endpoints.length - a.endpoints.length);
  for (const draft of fullest) if (draft.changed) fill(draft, rest);
  while (rest.size >= SLICE_MAX) {
    const many = [...rest].slice(0, SLICE_MAX);
    for (const [key] of many) rest.delete(key);
    return [many.map(([, endpoint]) => endpoint), ...place(drafts, rest)];
  }
  if (rest.size === 0) return [];
  const roomy = fullest.find(({ endpoints }) => endpoints.length + rest.size <= SLICE_MAX);
  if (roomy === undefined) return [[...rest.values()]];
  fill(roomy, rest);
  return [];
}

export interface SlicesOptions {
  /** Namespace and start of the names of new slices. */
  namespace: string;
  base: string;
  labels: Record<string, string>;
  annotations?: Record<string, string>;
  owner: OwnerReference;
  groups: readonly Group[];
  slices: ReadonlyArray<Stored<EndpointSlice>>;
  seed: number;
}

function newSlice(
  options: SlicesOptions,
  group: Group,
  endpoints: Endpoint[],
  end: string,
): Action {
  const { base, namespace, labels, annotations, owner } = options;
  const object: EndpointSlice = {
    metadata: {
      generateName: base,
      name: generatedName(base, end),
      namespace,
      labels,
      ...(annotations && { annotations }),
      ownerReferences: [owner],
    },
    addressType: group.addressType,
    endpoints,
    ports: group.ports,
  };
  return { do: "create", kind: endpointSlices, object };
}

/** What a new slice is to hold. */
interface Wanted {
  readonly group: Group;
  readonly endpoints: Endpoint[];
}

const metadataFor = ({ labels, annotations }: SlicesOptions, slice: Stored<EndpointSlice>) => ({
  ...slice.metadata,
  labels,
  ...(annotations && { annotations }),
});

/**
 * One that nothing is left of takes it, where there is one: a change costs less than a new slice
 * and an end. Takes that out of `left`.
 */
function made(
  options: SlicesOptions,
  { group, endpoints }: Wanted,
  left: Set<Stored<EndpointSlice>>,
  end: string,
): Action[] {
  const spare = [...left].find(
    ({ addressType, metadata }) =>
      addressType === group.addressType && metadata.deletionTimestamp === undefined,
  );
  if (spare === undefined) return [newSlice(options, group, endpoints, end)];
  left.delete(spare);
  const metadata = metadataFor(options, spare);
  return patchAction(endpointSlices, spare, { metadata, endpoints, ports: group.ports });
}

/**
 * What makes the slices hold exactly the groups. A group without endpoints keeps one empty slice.
 */
export function reconcileSlices(options: SlicesOptions): Action[] {
  const { slices } = options;
  const names = suffixesFrom(options.seed);
  const left = new Set(slices);
  const wanted: Wanted[] = [];
  const changed: Action[] = [];
  for (const group of options.groups) {
    const own = slices.filter((slice) => {
      const fits = slice.addressType === group.addressType;
      return fits && portsKey(slice.ports) === portsKey(group.ports) && left.has(slice);
    });
    const rest = new Map(group.endpoints);
    const wantsEmpty = rest.size === 0;
    const drafts = own.map((slice) => kept(slice, rest));
    for (const endpoints of place(drafts, rest)) wanted.push({ group, endpoints });
    if (wantsEmpty && own.length === 0) wanted.push({ group, endpoints: [] });
    for (const [i, { slice, endpoints }] of drafts.entries()) {
      if (endpoints.length === 0 && !(wantsEmpty && i === 0)) continue;
      left.delete(slice);
      const metadata = metadataFor(options, slice);
      const now = sameValue(slice.endpoints, endpoints) ? slice.endpoints : endpoints;
      changed.push(...patchAction(endpointSlices, slice, { metadata, endpoints: now }));
    }
  }
  const fresh = wanted.flatMap((one) => made(options, one, left, names.next().value));
  const gone = [...left]
    .filter((slice) => slice.metadata.deletionTimestamp === undefined)
    .map((slice) => deleteAction(endpointSlices, slice));
  // New addresses first, so that there is no moment without any.
  return [...fresh, ...changed, ...gone];
}
