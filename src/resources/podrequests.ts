/**
 * What a pod asks of a node, as the scheduler counts it: containers together, or the largest of the
 * init containers where that is more; sidecars run beside both
 * (kubernetes.io/docs/concepts/workloads/pods/init-containers, KEP-753).
 */
import { milliValue, quantityValue } from "#resources/quantity.ts";
import type { Container, Pod, ResourceRequirements } from "#resources/types.gen.ts";

/** Resource name to amount: `cpu` in thousandths of a core, all others in their base unit. */
export type Amounts = Record<string, number>;

export const amountOf = (resource: string, quantity: string | number): number =>
  resource === "cpu" ? milliValue(quantity) : quantityValue(quantity);

export function amounts(list: Record<string, string> | undefined): Amounts {
  const out: Amounts = {};
  for (const [name, quantity] of Object.entries(list ?? {})) out[name] = amountOf(name, quantity);
  return out;
}

function add(into: Amounts, more: Amounts): void {
  for (const [name, amount] of Object.entries(more)) into[name] = (into[name] ?? 0) + amount;
}

function raise(into: Amounts, floor: Amounts): void {
  for (const [name, amount] of Object.entries(floor)) {
    if (amount > (into[name] ?? 0)) into[name] = amount;
  }
}

const requestsOf = (resources: ResourceRequirements | undefined): Amounts =>
  amounts(resources?.requests);

const isSidecar = (container: Container): boolean => container.restartPolicy === "Always";

export function podRequests(pod: Pod): Amounts {
  const total: Amounts = {};
  for (const container of pod.spec?.containers ?? []) add(total, requestsOf(container.resources));
  const sidecars: Amounts = {};
  const initPeak: Amounts = {};
  for (const container of pod.spec?.initContainers ?? []) {
    const requests = requestsOf(container.resources);
    if (isSidecar(container)) {
      add(sidecars, requests);
      raise(initPeak, sidecars);
    } else {
      const during = { ...sidecars };
      add(during, requests);
      raise(initPeak, during);
    }
  }
  add(total, sidecars);
  raise(total, initPeak);
  // Requests of the pod as a whole stand in for its containers' (KEP-2837).
  for (const [name, amount] of Object.entries(requestsOf(pod.spec?.resources))) {
    total[name] = amount;
  }
  add(total, amounts(pod.spec?.overhead));
  return total;
}

/**
 * Ports of the host that a pod takes, as `PROTOCOL/ADDRESS/PORT`; address 0.0.0.0 is all of them.
 */
export function hostPorts(pod: Pod): string[] {
  return (pod.spec?.containers ?? []).flatMap((container) =>
    (container.ports ?? [])
      .filter((port) => (port.hostPort ?? 0) > 0)
      .map((p) => `${p.protocol ?? "TCP"}/${p.hostIP || "0.0.0.0"}/${p.hostPort}`),
  );
}
