/** What DNS and Ingress look at of a node's caches. */
import { configOf } from "#agents/dns/view.ts";
import type { ShownCaches } from "#client/cache.types.ts";
import type { Source } from "#client/feed.ts";
import { type Kind, resourceOf } from "#resources/kind.ts";
import { configMaps } from "#resources/kinds/configmap.ts";
import { endpointSlices } from "#resources/kinds/endpointslice.ts";
import { ingresses } from "#resources/kinds/ingress.ts";
import { ingressClasses } from "#resources/kinds/ingressclass.ts";
import { namespaces } from "#resources/kinds/namespace.ts";
import { nodes } from "#resources/kinds/node.ts";
import { services } from "#resources/kinds/service.ts";
import type { ApiObject } from "#resources/meta.ts";
import type { TrafficSettings } from "./traffic.ts";

export function trafficSources(settings: TrafficSettings, caches: ShownCaches): Source[] {
  const { dns, ingress, nodeName } = settings;
  const all = <T extends ApiObject>(kind: Kind<T>): Source => ({
    resource: resourceOf(kind),
    cache: caches.of(kind) as Source["cache"],
  });
  return [
    ...[all(services), all(endpointSlices)],
    ...(dns ? [all(namespaces)] : []),
    ...(dns ? [{ resource: resourceOf(configMaps), cache: configOf(caches) }] : []),
    ...(ingress ? [all(ingresses), all(ingressClasses)] : []),
    // Of the nodes only its own: each of them changes every few seconds.
    ...(ingress ? [{ ...all(nodes), has: (key: string) => key === nodeName }] : []),
  ];
}
