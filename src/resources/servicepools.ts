/** What a Service holds of the cluster's addresses and node ports. Pure. */
import { addressText, addressValue } from "#base/cidr.ts";
import type { Service, ServiceSpec } from "#resources/types.gen.ts";

export const needsAddress = (spec: ServiceSpec): boolean => spec.type !== "ExternalName";

/** Everything that a Service holds of the pools. */
export function heldBy(service: Service): { ips: string[]; ports: number[] } {
  const { spec = {} } = service;
  const ips = needsAddress(spec)
    ? (spec.clusterIPs ?? (spec.clusterIP ? [spec.clusterIP] : [])).filter(
        (ip) => ip !== "" && ip !== "None",
      )
    : [];
  const ports = new Set<number>();
  for (const port of spec.ports ?? []) if (port.nodePort) ports.add(port.nodePort);
  if (spec.healthCheckNodePort) ports.add(spec.healthCheckNodePort);
  return { ips, ports: [...ports] };
}

/** One text for an address, however it was written. */
function addressName(ip: string): string {
  const value = addressValue(ip);
  return value === undefined ? ip : addressText(value, ip.includes(":"));
}

/** The names of all that only one Service may hold. */
export function claimsOf(service: Service): string[] {
  const { ips, ports } = heldBy(service);
  return [...ips.map((ip) => `ip/${addressName(ip)}`), ...ports.map((port) => `nodeport/${port}`)];
}
