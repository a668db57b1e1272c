/** The quality of service of a pod (Kubernetes, "Pod Quality of Service Classes"). */
import { quantityValue } from "#resources/quantity.ts";
import type { PodSpec, ResourceRequirements } from "#resources/types.gen.ts";

type Totals = Map<string, number>;

const COUNTED = ["cpu", "memory"] as const;

/** Zero for what is no quantity: validation names it. */
function numberOf(quantity: string | undefined): number {
  if (quantity === undefined) return 0;
  try {
    return quantityValue(quantity);
  } catch {
    return 0;
  }
}

/** Adds what is more than zero; says whether both resources were there. */
function add(totals: Totals, list: Readonly<Record<string, string>> | undefined): boolean {
  let found = 0;
  for (const name of COUNTED) {
    const value = numberOf(list?.[name]);
    if (value <= 0) continue;
    found += 1;
    totals.set(name, (totals.get(name) ?? 0) + value);
  }
  return found === COUNTED.length;
}

/** The pod's own resources where it has some, else those of its containers. */
function holders(spec: PodSpec): Array<ResourceRequirements | undefined> {
  if (spec.resources) return [spec.resources];
  const containers = [...(spec.containers ?? []), ...(spec.initContainers ?? [])];
  return containers.map((container) => container.resources);
}

export function qosClass(spec: PodSpec): "Guaranteed" | "Burstable" | "BestEffort" {
  const requests: Totals = new Map();
  const limits: Totals = new Map();
  let limited = true;
  for (const resources of holders(spec)) {
    add(requests, resources?.requests);
    limited = add(limits, resources?.limits) && limited;
  }
  if (requests.size === 0 && limits.size === 0) return "BestEffort";
  const equal =
    requests.size === limits.size &&
    [...requests].every(([name, value]) => limits.get(name) === value);
  return limited && equal ? "Guaranteed" : "Burstable";
}
