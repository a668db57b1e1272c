/** Resources of a pod as a whole (KEP-2837), beside those of its containers. */
import { addQuantity, compareQuantity } from "#resources/quantity.ts";
import type { PodSpec } from "#resources/types.gen.ts";

type List = Record<string, string>;

export const POD_RESOURCES = ["cpu", "hugepages-", "memory"] as const;

const isHugePages = (name: string): boolean => name.startsWith("hugepages-");

export const isPodResource = (name: string): boolean =>
  name === "cpu" || name === "memory" || isHugePages(name);

function add(into: List, more: Readonly<List> | undefined): void {
  for (const [name, quantity] of Object.entries(more ?? {})) {
    const before = into[name];
    into[name] = before === undefined ? quantity : addQuantity(before, quantity);
  }
}

function raise(into: List, floor: Readonly<List>): void {
  for (const [name, quantity] of Object.entries(floor)) {
    const before = into[name];
    if (before === undefined || compareQuantity(quantity, before) > 0) into[name] = quantity;
  }
}

/** All containers together, or the largest init container with the sidecars before it. */
export function containersTotal(spec: PodSpec, part: "limits" | "requests"): List {
  const total: List = {};
  for (const { resources } of spec.containers ?? []) add(total, resources?.[part]);
  const sidecars: List = {};
  const peak: List = {};
  for (const { resources, restartPolicy } of spec.initContainers ?? []) {
    const during = { ...sidecars };
    add(during, resources?.[part]);
    raise(peak, during);
    if (restartPolicy !== "Always") continue;
    add(total, resources?.[part]);
    add(sidecars, resources?.[part]);
  }
  raise(total, peak);
  return total;
}

/**
 * Where a pod says a part of what it needs, the rest follows from its containers and its limits.
 */
export function defaultPodResources(spec: PodSpec): void {
  const { resources } = spec;
  if (!resources) return;
  const limits: List = { ...resources.limits };
  const requests: List = { ...resources.requests };
  if (Object.keys(limits).length + Object.keys(requests).length === 0) return;
  for (const [name, quantity] of Object.entries(containersTotal(spec, "limits"))) {
    if (isHugePages(name) && requests[name] === undefined) limits[name] ??= quantity;
  }
  if (Object.keys(limits).length === 0) return;
  resources.limits = limits;
  for (const [name, quantity] of Object.entries(containersTotal(spec, "requests"))) {
    if (name === "cpu" || name === "memory") requests[name] ??= quantity;
  }
  for (const [name, quantity] of Object.entries(limits)) {
    if (isPodResource(name)) requests[name] ??= quantity;
  }
  if (Object.keys(requests).length > 0) resources.requests = requests;
}
