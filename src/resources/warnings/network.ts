/** Warnings of Services, what leads to them, and policies. */
import type {
  EndpointSlice,
  Endpoints,
  Ingress,
  NetworkPolicy,
  Service,
} from "#resources/types.gen.ts";
import { cidrWarnings, ipWarnings } from "#resources/warnings/addresses.ts";
import { annotated } from "#resources/warnings/annotated.ts";

/** Written by controllers, whose addresses are in order. */
const CONTROLLERS = new Set([
  "endpoint-controller",
  "endpointslice-controller.k8s.io",
  "endpointslicemirroring-controller.k8s.io",
]);

const TOPOLOGY = "service.kubernetes.io/topology-aware-hints";

function headlessWarnings({ spec }: Service): string[] {
  if (spec?.type !== "ClusterIP" || spec.clusterIP !== "None") return [];
  const out: string[] = [];
  if (spec.loadBalancerIP) out.push("spec.loadBalancerIP is ignored for headless services");
  if (spec.externalIPs?.length) out.push("spec.externalIPs is ignored for headless services");
  if (spec.sessionAffinity !== "None") {
    out.push("spec.SessionAffinity is ignored for headless services");
  }
  return out;
}

export function serviceWarnings(service: Service): string[] {
  const { spec = {} } = service;
  const { externalIPs = [], clusterIPs = [], loadBalancerSourceRanges = [] } = spec;
  const instead = "please use service.kubernetes.io/topology-mode instead";
  const external = spec.type === "ExternalName";
  return [
    ...(annotated(service, TOPOLOGY) ? [`annotation ${TOPOLOGY} is deprecated, ${instead}`] : []),
    ...clusterIPs.flatMap((ip, i) => ipWarnings(`spec.clusterIPs[${i}]`, ip)),
    ...headlessWarnings(service),
    ...externalIPs.flatMap((ip, i) => ipWarnings(`spec.externalIPs[${i}]`, ip)),
    ...ipWarnings("spec.loadBalancerIP", spec.loadBalancerIP),
    ...loadBalancerSourceRanges.flatMap((range, i) =>
      cidrWarnings(`spec.loadBalancerSourceRanges[${i}]`, range),
    ),
    ...(external && externalIPs.length > 0
      ? ['spec.externalIPs is ignored when spec.type is "ExternalName"']
      : []),
    ...(!external && spec.externalName
      ? ['spec.externalName is ignored when spec.type is not "ExternalName"']
      : []),
  ];
}

export function networkPolicyWarnings({ spec }: NetworkPolicy): string[] {
  const peers = [
    ...(spec?.ingress ?? []).map(({ from }, i) => [`spec.ingress[${i}].from`, from] as const),
    ...(spec?.egress ?? []).map(({ to }, i) => [`spec.egress[${i}].to`, to] as const),
  ];
  return peers.flatMap(([path, all]) =>
    (all ?? []).flatMap(({ ipBlock }, j) => {
      if (ipBlock === undefined) return [];
      const at = `${path}[${j}].ipBlock`;
      return [
        ...cidrWarnings(`${at}.cidr`, ipBlock.cidr),
        ...(ipBlock.except ?? []).flatMap((cidr, k) => cidrWarnings(`${at}.except[${k}]`, cidr)),
      ];
    }),
  );
}

const INGRESS_CLASS = "kubernetes.io/ingress.class";

export const ingressWarnings = (ingress: Ingress, old: Ingress | undefined): string[] =>
  old === undefined && annotated(ingress, INGRESS_CLASS) && !ingress.spec?.ingressClassName
    ? [`annotation "${INGRESS_CLASS}" is deprecated, please use 'spec.ingressClassName' instead`]
    : [];

interface Labelled {
  readonly metadata?: { readonly labels?: Readonly<Record<string, string>> };
}

const madeByController = ({ metadata }: Labelled, label: string): boolean =>
  CONTROLLERS.has(metadata?.labels?.[label] ?? "");

export function sliceWarnings(slice: EndpointSlice, old: EndpointSlice | undefined): string[] {
  const names = old === undefined && slice.addressType === "FQDN";
  const deprecated = names ? ["spec.addressType: FQDN endpoints are deprecated"] : [];
  if (madeByController(slice, "endpointslice.kubernetes.io/managed-by")) return deprecated;
  const addresses = (slice.endpoints ?? []).flatMap((endpoint, i) =>
    (endpoint.addresses ?? []).flatMap((ip, j) =>
      ipWarnings(`endpoints[${i}].addresses[${j}]`, ip),
    ),
  );
  return [...deprecated, ...addresses];
}

export function endpointsWarnings(endpoints: Endpoints): string[] {
  if (madeByController(endpoints, "endpoints.kubernetes.io/managed-by")) return [];
  return (endpoints.subsets ?? []).flatMap((subset, i) =>
    (["addresses", "notReadyAddresses"] as const).flatMap((field) =>
      (subset[field] ?? []).flatMap(({ ip }, j) =>
        ipWarnings(`subsets[${i}].${field}[${j}].ip`, ip),
      ),
    ),
  );
}
