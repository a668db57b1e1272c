/** What the caches know, as the zone asks for it. */
import { canonicalAddress, type View } from "#agents/dns/plan.ts";
import type { Index, Shown, ShownCaches } from "#client/cache.types.ts";
import { configMaps } from "#resources/kinds/configmap.ts";
import { endpointSlices } from "#resources/kinds/endpointslice.ts";
import { namespaces } from "#resources/kinds/namespace.ts";
import { services } from "#resources/kinds/service.ts";
import type { ConfigMap, EndpointSlice, Service } from "#resources/types.gen.ts";

const servicesByIp: Index<Service> = {
  name: "clusterIP",
  values: ({ spec }) => (spec?.clusterIPs ?? [spec?.clusterIP ?? ""]).map(canonicalAddress),
};

const slicesByService: Index<EndpointSlice> = {
  name: "dnsService",
  values: ({ metadata }) => {
    const service = metadata.labels?.["kubernetes.io/service-name"];
    return service === undefined ? [] : [`${metadata.namespace}/${service}`];
  },
};

const slicesByIp: Index<EndpointSlice> = {
  name: "address",
  values: ({ endpoints }) =>
    (endpoints ?? []).flatMap(({ addresses }) => addresses.map(canonicalAddress)),
};

export function viewOf(caches: ShownCaches): View {
  const ofServices = caches.of(services);
  const ofSlices = caches.of(endpointSlices);
  const ofNamespaces = caches.of(namespaces);
  return {
    service: (namespace, name) => ofServices.get(`${namespace}/${name}`),
    slices: (namespace, name) => ofSlices.indexed(slicesByService, `${namespace}/${name}`),
    hasNamespace: (name) => ofNamespaces.get(name) !== undefined,
    serviceAt: (ip) => ofServices.indexed(servicesByIp, ip)[0],
    slicesAt: (ip) => ofSlices.indexed(slicesByIp, ip),
  };
}

/** The one ConfigMap that says where questions about other names go, where there is one. */
export function configOf(caches: ShownCaches): Shown<ConfigMap> {
  const namespace = "kube-system";
  return caches.of(configMaps, { namespace, fieldSelector: "metadata.name=kube-dns" });
}
