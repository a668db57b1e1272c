/**
 * Fields of devices that belong to features which are off by default (KEP-4815, 5055, 5007, 5075).
 */
import type { DeviceClaim, ResourceSliceSpec } from "#resources/types.gen.ts";

interface Feature<T> {
  used(holder: T): boolean;
  drop(holder: T): void;
}

const exactOf = (claim: DeviceClaim) =>
  (claim.requests ?? []).flatMap(({ exactly }) => (exactly ? [exactly] : []));

const anyOf = (claim: DeviceClaim) => [
  ...exactOf(claim),
  ...(claim.requests ?? []).flatMap(({ firstAvailable }) => firstAvailable ?? []),
];

const CLAIM: ReadonlyArray<Feature<DeviceClaim>> = [
  {
    // On by default, but only for namespaces that an administrator marked: none is asked here.
    used: (claim) => exactOf(claim).some(({ adminAccess }) => adminAccess !== undefined),
    drop: (claim) => {
      for (const request of exactOf(claim)) delete request.adminAccess;
    },
  },
  {
    used: (claim) => anyOf(claim).some(({ capacity }) => capacity !== undefined),
    drop: (claim) => {
      for (const request of anyOf(claim)) delete request.capacity;
    },
  },
];

const PARTITIONS = ["consumesCounters", "nodeName", "nodeSelector", "allNodes"] as const;
const BINDINGS = ["bindingConditions", "bindingFailureConditions", "bindsToNode"] as const;

type Devices = NonNullable<ResourceSliceSpec["devices"]>;

const ofDevices = (names: ReadonlyArray<keyof Devices[number]>): Feature<ResourceSliceSpec> => ({
  used: ({ devices }) =>
    (devices ?? []).some((device) => names.some((name) => device[name] !== undefined)),
  drop: ({ devices }) => {
    for (const device of devices ?? []) for (const name of names) delete device[name];
  },
});

const partitions = ofDevices(PARTITIONS);

const SLICE: ReadonlyArray<Feature<ResourceSliceSpec>> = [
  ofDevices(["taints"]),
  ofDevices(BINDINGS),
  ofDevices(["allowMultipleAllocations"]),
  {
    used: (spec) =>
      partitions.used(spec) ||
      spec.sharedCounters !== undefined ||
      spec.perDeviceNodeSelection !== undefined,
    drop: (spec) => {
      partitions.drop(spec);
      delete spec.sharedCounters;
      delete spec.perDeviceNodeSelection;
    },
  },
  {
    used: ({ devices }) =>
      (devices ?? []).some(({ capacity }) =>
        Object.values(capacity ?? {}).some(({ requestPolicy }) => requestPolicy !== undefined),
      ),
    drop: ({ devices }) => {
      for (const { capacity } of devices ?? []) {
        for (const each of Object.values(capacity ?? {})) delete each.requestPolicy;
      }
    },
  },
];

function dropUnserved<T>(features: ReadonlyArray<Feature<T>>, next?: T, old?: T): void {
  if (next === undefined) return;
  for (const feature of features) {
    if (old === undefined || !feature.used(old)) feature.drop(next);
  }
}

/** In place; what `old` uses stays. */
export const dropUnservedClaimFields = (
  next: DeviceClaim | undefined,
  old: DeviceClaim | undefined,
): void => dropUnserved(CLAIM, next, old);

/** In place; what `old` uses stays. */
export const dropUnservedSliceFields = (
  next: ResourceSliceSpec | undefined,
  old: ResourceSliceSpec | undefined,
): void => dropUnserved(SLICE, next, old);
