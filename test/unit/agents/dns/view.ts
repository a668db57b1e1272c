/** A small cluster for DNS tests. */
import type { View } from "#agents/dns/plan.ts";
import type { Endpoint, EndpointSlice, Service, ServiceSpec } from "#resources/types.gen.ts";

const service = (namespace: string, name: string, spec: ServiceSpec): Service => ({
  metadata: { namespace, name },
  spec,
});

function endpoint(ip: string, hostname?: string, ready = true): Endpoint {
  return { addresses: [ip], conditions: { ready }, ...(hostname && { hostname }) };
}

export const services: Service[] = [
  service("default", "kubernetes", {
    clusterIP: "10.43.0.1",
    clusterIPs: ["10.43.0.1", "fd00:43::1"],
    ports: [{ name: "https", port: 443, protocol: "TCP", targetPort: 6443 }],
  }),
  service("default", "db", {
    clusterIP: "None",
    ports: [
      { name: "sql", port: 5432, protocol: "TCP" },
      { name: "gossip", port: 7000, protocol: "UDP" },
    ],
  }),
  service("default", "empty", { clusterIP: "None", ports: [{ name: "x", port: 1 }] }),
  service("shop", "mirror", { type: "ExternalName", externalName: "www.Example.com." }),
  service("shop", "inside", {
    type: "ExternalName",
    externalName: "kubernetes.default.svc.cluster.local",
  }),
  service("shop", "circle", {
    type: "ExternalName",
    externalName: "circle.shop.svc.cluster.local",
  }),
];

export const slices: EndpointSlice[] = [
  {
    metadata: {
      namespace: "default",
      name: "db-1",
      labels: { "kubernetes.io/service-name": "db" },
    },
    addressType: "IPv4",
    endpoints: [
      endpoint("10.42.0.5", "db-0"),
      endpoint("10.42.1.6"),
      endpoint("10.42.1.7", "db-2", false),
    ],
    ports: [
      { name: "sql", port: 15432, protocol: "TCP" },
      { name: "gossip", port: 7000, protocol: "UDP" },
    ],
  },
];

const namespaces = ["default", "shop"];
const keyOf = (slice: EndpointSlice): string =>
  `${slice.metadata?.namespace}/${slice.metadata?.labels?.["kubernetes.io/service-name"]}`;

export const view: View = {
  service: (namespace, name) =>
    services.find(({ metadata }) => metadata?.namespace === namespace && metadata.name === name),
  slices: (namespace, name) => slices.filter((slice) => keyOf(slice) === `${namespace}/${name}`),
  hasNamespace: (name) => namespaces.includes(name),
  serviceAt: (ip) => services.find(({ spec }) => spec?.clusterIPs?.includes(ip)),
  slicesAt: (ip) =>
    slices.filter(({ endpoints }) => endpoints.some(({ addresses }) => addresses.includes(ip))),
};
