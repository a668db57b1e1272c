/** Services and slices with little typing. */
import type { ProxyConfig } from "#agents/proxy/plan.ts";
import type { Endpoint, EndpointSlice, Service, ServiceSpec } from "#resources/types.gen.ts";

export const config: ProxyConfig = {
  nodeName: "n1",
  clusterCidr: "10.42.0.0/16",
  family: "IPv4",
  markBit: 0x4000,
};

export function service(name: string, spec: ServiceSpec, ingress: readonly string[] = []): Service {
  return {
    metadata: { namespace: "default", name },
    spec: { type: "ClusterIP", ports: [{ port: 80, protocol: "TCP" }], ...spec },
    ...(ingress.length > 0 && {
      status: { loadBalancer: { ingress: ingress.map((ip) => ({ ip })) } },
    }),
  };
}

/** An endpoint as `ip@node`, with `!` not ready, `~` terminating and serving. */
export function endpoint(text: string): Endpoint {
  const [, flag, ip = "", node] = /^([!~]?)([^@]+)(?:@(.+))?$/.exec(text) ?? [];
  return {
    addresses: [ip],
    conditions: { ready: flag === "", serving: flag !== "!", terminating: flag === "~" },
    ...(node !== undefined && { nodeName: node }),
  };
}

export function slice(
  name: string,
  endpoints: readonly string[],
  ports: EndpointSlice["ports"] = [{ name: "", port: 8080, protocol: "TCP" }],
): EndpointSlice {
  return {
    metadata: {
      namespace: "default",
      name: `${name}-x`,
      labels: { "kubernetes.io/service-name": name },
    },
    addressType: endpoints[0]?.includes("::") ? "IPv6" : "IPv4",
    endpoints: endpoints.map(endpoint),
    ports,
  };
}
