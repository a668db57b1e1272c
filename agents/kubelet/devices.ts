/**
 * The machine's small devices as extended resources, so that a pod gets a serial port or the GPIO
 * chip without being privileged: `limits: {"bramble.dev/serial": 1}`. Pure but for the listing of
 * /dev.
 */
import { readdirSync } from "node:fs";
import type { PodRecord } from "#agents/kubelet/types.ts";
import type { Container, Pod } from "#resources/types.gen.ts";

interface DeviceKind {
  resource: string;
  /** Names below /dev. */
  pattern: RegExp;
  /** One pod at a time for each device; otherwise all devices go to everyone who asks. */
  exclusive: boolean;
}

/** How many pods may use devices that are shared. */
const SHARES = 32;

export const deviceKinds: readonly DeviceKind[] = [
  { resource: "bramble.dev/serial", pattern: /^tty(USB|ACM|AMA)\d+$/, exclusive: true },
  { resource: "bramble.dev/video", pattern: /^video\d+$/, exclusive: true },
  { resource: "bramble.dev/gpio", pattern: /^gpio(chip\d+|mem\d*)$/, exclusive: false },
  { resource: "bramble.dev/i2c", pattern: /^i2c-\d+$/, exclusive: false },
  { resource: "bramble.dev/spi", pattern: /^spidev\d+\.\d+$/, exclusive: false },
  { resource: "bramble.dev/gpu", pattern: /^dri\/(card|renderD)\d+$/, exclusive: false },
  { resource: "bramble.dev/kvm", pattern: /^kvm$/, exclusive: false },
];

/** Paths by resource, for names below /dev. */
export type Devices = ReadonlyMap<string, readonly string[]>;

export function devicesOf(names: readonly string[]): Devices {
  const found = new Map<string, string[]>();
  for (const { resource, pattern } of deviceKinds) {
    const paths = names.filter((name) => pattern.test(name)).map((name) => `/dev/${name}`);
    if (paths.length > 0) found.set(resource, paths.sort());
  }
  return found;
}

/** Of this machine. */
export function listDevices(root = "/dev"): Devices {
  const below = (folder: string): string[] => {
    try {
      return readdirSync(`${root}${folder}`);
    } catch {
      // No such folder: no such devices.
      return [];
    }
  };
  return devicesOf([...below(""), ...below("/dri").map((name) => `dri/${name}`)]);
}

/** What the node offers: resource name to count. */
export function deviceCapacity(devices: Devices): Record<string, number> {
  const out: Record<string, number> = {};
  for (const { resource, exclusive } of deviceKinds) {
    const paths = devices.get(resource);
    if (paths !== undefined) out[resource] = exclusive ? paths.length : SHARES;
  }
  return out;
}

/** Paths given to each container of a pod. */
export type Assigned = Record<string, string[]>;

const containersOf = (pod: Pod): Container[] => [
  ...(pod.spec?.initContainers ?? []),
  ...(pod.spec?.containers ?? []),
];

/** Undefined where an exclusive device is missing; init containers hand theirs on. */
export function assignDevices(
  pod: Pod,
  devices: Devices,
  taken: ReadonlySet<string>,
): Assigned | undefined {
  const assigned: Assigned = {};
  const used = new Set(taken);
  const inits = new Set((pod.spec?.initContainers ?? []).map(({ name }) => name));
  for (const { name, resources } of containersOf(pod)) {
    for (const { resource, exclusive } of deviceKinds) {
      const count = Number(resources?.limits?.[resource] ?? 0);
      if (count <= 0) continue;
      const all = devices.get(resource) ?? [];
      const free = exclusive ? all.filter((path) => !used.has(path)).slice(0, count) : all;
      if (free.length === 0 || (exclusive && free.length < count)) return undefined;
      assigned[name] = [...(assigned[name] ?? []), ...free];
      if (exclusive && !inits.has(name)) for (const path of free) used.add(path);
    }
  }
  return assigned;
}

/** Exclusive devices that pods hold. */
export const takenDevices = (records: Iterable<PodRecord>): Set<string> =>
  new Set([...records].flatMap(({ devices }) => Object.values(devices ?? {}).flat()));
