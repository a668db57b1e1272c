/**
 * Defaults of Services (Kubernetes API reference, ServiceSpec v1). Addresses are allocated by the
 * API.
 */
import { sameValue } from "#resources/equal.ts";
import type { Service, ServiceSpec } from "#resources/types.gen.ts";

const AFFINITY_SECONDS = 10_800;

const hasNodePorts = (spec: ServiceSpec): boolean =>
  spec.type === "NodePort" || spec.type === "LoadBalancer";

/** Reached from outside: the external traffic policy says something. */
export const isExternal = (spec: ServiceSpec): boolean =>
  hasNodePorts(spec) || (spec.type === "ClusterIP" && (spec.externalIPs ?? []).length > 0);

const hasHealthPort = (spec: ServiceSpec): boolean =>
  spec.type === "LoadBalancer" && spec.externalTrafficPolicy === "Local";

function defaultAffinity(spec: ServiceSpec): void {
  spec.sessionAffinity ||= "None";
  if (spec.sessionAffinity === "None") delete spec.sessionAffinityConfig;
  if (spec.sessionAffinity !== "ClientIP") return;
  const timeoutSeconds = spec.sessionAffinityConfig?.clientIP?.timeoutSeconds ?? AFFINITY_SECONDS;
  spec.sessionAffinityConfig = { clientIP: { timeoutSeconds } };
}

export function defaultService(service: Service): void {
  service.spec ??= {};
  const { spec } = service;
  defaultAffinity(spec);
  spec.type ||= "ClusterIP";
  for (const port of spec.ports ?? []) {
    port.protocol ||= "TCP";
    port.targetPort ||= port.port;
  }
  if (isExternal(spec)) spec.externalTrafficPolicy ||= "Cluster";
  if (spec.type === "ClusterIP" || hasNodePorts(spec)) spec.internalTrafficPolicy ??= "Cluster";
  if (spec.type === "LoadBalancer") spec.allocateLoadBalancerNodePorts ??= true;
  for (const point of service.status?.loadBalancer?.ingress ?? []) {
    if (spec.type === "LoadBalancer" && point.ip) point.ipMode ??= "VIP";
  }
}

/**
 * The fields of one use of a Service, and whether a spec has that use. A group is dropped together.
 */
const USES: ReadonlyArray<{
  applies(spec: ServiceSpec): boolean;
  groups: ReadonlyArray<ReadonlyArray<keyof ServiceSpec>>;
}> = [
  {
    applies: (spec) => spec.type !== "ExternalName",
    groups: [["clusterIP", "clusterIPs"], ["ipFamilies"], ["ipFamilyPolicy"]],
  },
  { applies: hasHealthPort, groups: [["healthCheckNodePort"]] },
  {
    applies: (spec) => spec.type === "LoadBalancer",
    groups: [["allocateLoadBalancerNodePorts"], ["loadBalancerClass"]],
  },
  { applies: isExternal, groups: [["externalTrafficPolicy"]] },
];

function dropNodePorts(spec: ServiceSpec, old: ServiceSpec): void {
  if (!hasNodePorts(old) || hasNodePorts(spec)) return;
  const before = new Set((old.ports ?? []).map((port) => port.nodePort));
  const ports = spec.ports ?? [];
  if (ports.some((port) => port.nodePort && !before.has(port.nodePort))) return;
  for (const port of ports) delete port.nodePort;
}

/**
 * Drops on update what the new type has no use for and the client did not touch: it was allocated
 * or set by default, and would only fail validation.
 */
export function dropForType(service: Service, old: Service): void {
  const { spec } = service;
  const before = old.spec;
  if (!spec || !before) return;
  for (const { applies, groups } of USES) {
    if (!applies(before) || applies(spec)) continue;
    for (const group of groups) {
      if (!group.every((field) => sameValue(spec[field], before[field]))) continue;
      for (const field of group) delete spec[field];
    }
  }
  dropNodePorts(spec, before);
  if (spec.type !== "LoadBalancer" && service.status) service.status.loadBalancer = {};
}
