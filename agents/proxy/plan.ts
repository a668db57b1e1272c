/**
 * Services and their endpoints to what each service port answers on and with, and from there to
 * packet rules. Pure; `agent.ts` watches, the rule writer applies. Rules: kube-proxy's documented
 * behaviour (kubernetes.io/docs/reference/networking/virtual-ips).
 */
import type { RuleSet } from "#agents/network/packets.ts";
import { joinRules, servicePortRules } from "#agents/proxy/rules.ts";
import { familyOf } from "#base/cidr.ts";
import type { Endpoint, EndpointSlice, Service, ServicePort } from "#resources/types.gen.ts";

export interface ProxyConfig {
  nodeName: string;
  /** The node's `topology.kubernetes.io/zone`. */
  zone?: string;
  /** Of the whole cluster; two with a comma for dual-stack. */
  clusterCidr: string;
  family: "IPv4" | "IPv6";
  /** One bit of the packet mark that means: masquerade. Upstream's 0x4000. */
  markBit: number;
  /** Cluster IPs that this node answers itself (DNS): no rules for them. */
  localAddresses?: readonly string[];
}

/** Where a packet is sent. */
export interface Backend {
  ip: string;
  port: number;
  /** On this node; undefined where the endpoint names no node. */
  local: boolean | undefined;
}

/** One port of a Service on this node. */
export interface ServicePortPlan {
  /** `namespace/name:port`. */
  id: string;
  protocol: "tcp" | "udp" | "sctp";
  port: number;
  clusterIps: readonly string[];
  nodePort: number | undefined;
  externalIps: readonly string[];
  loadBalancerIps: readonly string[];
  /** Who may use the load balancer's addresses; empty: everyone. */
  sourceRanges: readonly string[];
  affinitySeconds: number | undefined;
  internalLocal: boolean;
  externalLocal: boolean;
  /** For traffic that may go to any node. */
  everywhere: readonly Backend[];
  /** For traffic that must stay on this node. */
  here: readonly Backend[];
}

/** Upstream's default of `sessionAffinityConfig.clientIP.timeoutSeconds`: 3 hours. */
const AFFINITY_SECONDS = 10_800;
const PROTOCOLS = { TCP: "tcp", UDP: "udp", SCTP: "sctp" } as const;

interface Candidate extends Backend {
  ready: boolean;
  /** Terminating but still serving: used only where nothing is ready (KEP-1669). */
  draining: boolean;
  zones: readonly string[] | undefined;
  nodes: readonly string[] | undefined;
}

function candidateOf(endpoint: Endpoint, ip: string, port: number, nodeName: string): Candidate {
  const { ready = true, serving = ready, terminating = false } = endpoint.conditions ?? {};
  return {
    ip,
    port,
    local: endpoint.nodeName === undefined ? undefined : endpoint.nodeName === nodeName,
    ready: ready && !terminating,
    draining: serving && terminating,
    zones: endpoint.hints?.forZones?.map(({ name }) => name),
    nodes: endpoint.hints?.forNodes?.map(({ name }) => name),
  };
}

const rank = ({ ready, draining }: Candidate): number => (ready ? 2 : draining ? 1 : 0);

function candidatesOf(
  slices: readonly EndpointSlice[],
  portName: string,
  config: ProxyConfig,
): Candidate[] {
  const found = new Map<string, Candidate>();
  for (const slice of slices) {
    if (slice.addressType !== config.family) continue;
    const port = slice.ports?.find(({ name }) => (name ?? "") === portName)?.port;
    if (port === undefined) continue;
    for (const endpoint of slice.endpoints ?? []) {
      const ip = endpoint.addresses[0];
      if (ip === undefined || familyOf(ip) !== config.family) continue;
      const candidate = candidateOf(endpoint, ip, port, config.nodeName);
      const key = `${ip} ${port}`;
      // The same address in two slices while it moves between them: the better state counts.
      const known = found.get(key);
      if (known === undefined || rank(candidate) > rank(known)) found.set(key, candidate);
    }
  }
  return [...found.values()].sort((a, b) => (a.ip < b.ip ? -1 : a.ip > b.ip ? 1 : a.port - b.port));
}

function usable(candidates: readonly Candidate[]): readonly Candidate[] {
  const ready = candidates.filter((candidate) => candidate.ready);
  return ready.length > 0 ? ready : candidates.filter((candidate) => candidate.draining);
}

/**
 * Endpoints hinted to this node, else to its zone; all where hints are incomplete (KEP-2433,
 * KEP-3015).
 */
function near(candidates: readonly Candidate[], config: ProxyConfig): readonly Candidate[] {
  if (candidates.every(({ nodes }) => nodes !== undefined && nodes.length > 0)) {
    const own = candidates.filter(({ nodes }) => nodes?.includes(config.nodeName));
    if (own.length > 0) return own;
  }
  const { zone } = config;
  if (zone === undefined) return candidates;
  if (!candidates.every(({ zones }) => zones !== undefined && zones.length > 0)) return candidates;
  const own = candidates.filter(({ zones }) => zones?.includes(zone));
  return own.length > 0 ? own : candidates;
}

const backendOf = ({ ip, port, local }: Candidate): Backend => ({ ip, port, local });

function servicePort(
  service: Service,
  port: ServicePort,
  slices: readonly EndpointSlice[],
  config: ProxyConfig,
): ServicePortPlan {
  const spec = service.spec ?? {};
  const { namespace, name } = service.metadata ?? {};
  const mine = (addresses: readonly string[] | undefined) =>
    (addresses ?? []).filter((address) => familyOf(address) === config.family);
  const ingress = spec.type === "LoadBalancer" ? (service.status?.loadBalancer?.ingress ?? []) : [];
  const candidates = candidatesOf(slices, port.name ?? "", config);
  const external = spec.type === "NodePort" || spec.type === "LoadBalancer";
  return {
    id: `${namespace}/${name}:${port.name || port.port}`,
    protocol: PROTOCOLS[(port.protocol ?? "TCP") as keyof typeof PROTOCOLS] ?? "tcp",
    port: port.port,
    clusterIps: mine(spec.clusterIPs ?? (spec.clusterIP ? [spec.clusterIP] : [])).filter(
      (address) => !config.localAddresses?.includes(address),
    ),
    nodePort: external && port.nodePort ? port.nodePort : undefined,
    externalIps: mine(spec.externalIPs),
    loadBalancerIps: mine(
      ingress.flatMap(({ ip, ipMode }) => (ip === undefined || ipMode === "Proxy" ? [] : [ip])),
    ),
    sourceRanges: mine(spec.loadBalancerSourceRanges?.map((range) => range.trim())),
    affinitySeconds:
      spec.sessionAffinity === "ClientIP"
        ? (spec.sessionAffinityConfig?.clientIP?.timeoutSeconds ?? AFFINITY_SECONDS)
        : undefined,
    internalLocal: spec.internalTrafficPolicy === "Local",
    externalLocal: spec.externalTrafficPolicy === "Local",
    everywhere: near(usable(candidates), config).map(backendOf),
    here: usable(candidates.filter(({ local }) => local === true)).map(backendOf),
  };
}

/** Whether packet rules serve it: headless and ExternalName Services are DNS alone. */
export function isProxied(service: Service): boolean {
  const { type, clusterIP } = service.spec ?? {};
  return (
    type !== "ExternalName" && clusterIP !== "None" && clusterIP !== undefined && clusterIP !== ""
  );
}

/** The ports of one Service; `slices` are its own. */
export function planService(
  service: Service,
  slices: readonly EndpointSlice[],
  config: ProxyConfig,
): ServicePortPlan[] {
  if (!isProxied(service)) return [];
  return (service.spec?.ports ?? []).map((port) => servicePort(service, port, slices, config));
}

export const SERVICE_NAME_LABEL = "kubernetes.io/service-name";

/** `namespace/name` of the Service that a slice belongs to. */
export function serviceOf(slice: EndpointSlice): string | undefined {
  const name = slice.metadata?.labels?.[SERVICE_NAME_LABEL];
  return name === undefined ? undefined : `${slice.metadata?.namespace}/${name}`;
}

/** All packet rules of all Services, at once. The agent does the same in parts. */
export function planServices(
  state: { services: readonly Service[]; endpointSlices: readonly EndpointSlice[] },
  config: ProxyConfig,
): RuleSet {
  const slices = new Map<string, EndpointSlice[]>();
  for (const slice of state.endpointSlices) {
    const key = serviceOf(slice);
    if (key !== undefined) slices.set(key, [...(slices.get(key) ?? []), slice]);
  }
  const ports = state.services.flatMap((service) => {
    const { namespace, name } = service.metadata ?? {};
    return planService(service, slices.get(`${namespace}/${name}`) ?? [], config);
  });
  return joinRules(
    ports.map((port) => servicePortRules(port, config)),
    config,
  );
}
