/** What a Service keeps of its allocated values when a client writes it back without them. Pure. */
import { needsAddress } from "#resources/servicepools.ts";
import type { Service, ServicePort, ServiceSpec } from "#resources/types.gen.ts";

export const needsNodePorts = (spec: ServiceSpec): boolean =>
  spec.type === "NodePort" ||
  (spec.type === "LoadBalancer" && spec.allocateLoadBalancerNodePorts !== false);

export const needsHealthPort = (spec: ServiceSpec): boolean =>
  spec.type === "LoadBalancer" && spec.externalTrafficPolicy === "Local";

const portKey = (port: ServicePort): string => `${port.protocol ?? "TCP"}/${port.port}`;

export function keepAllocated(service: Service, old: Service): void {
  const { spec } = service;
  const before = old.spec;
  if (spec === undefined || before === undefined) return;
  if (needsAddress(before) && needsAddress(spec)) {
    if (!spec.clusterIP && before.clusterIP) spec.clusterIP = before.clusterIP;
    if ((spec.clusterIPs ?? []).length === 0 && spec.clusterIP === before.clusterIP) {
      if (before.clusterIPs !== undefined) spec.clusterIPs = [...before.clusterIPs];
    }
  }
  if (needsNodePorts(before) && needsNodePorts(spec)) keepNodePorts(spec, before);
  if (needsHealthPort(before) && needsHealthPort(spec) && !spec.healthCheckNodePort) {
    if (before.healthCheckNodePort) spec.healthCheckNodePort = before.healthCheckNodePort;
  }
}

function keepNodePorts(spec: ServiceSpec, before: ServiceSpec): void {
  const wanted = new Set((spec.ports ?? []).map((port) => port.nodePort));
  const known = new Map((before.ports ?? []).map((port) => [portKey(port), port.nodePort]));
  for (const port of spec.ports ?? []) {
    const kept = known.get(portKey(port));
    if (!port.nodePort && kept && !wanted.has(kept)) port.nodePort = kept;
  }
}
