/**
 * One service port to its packet rules, and all of them to the rules of the node. Pure. A packet
 * meets `SERVICES`, then by address the /16 and the /24 of a cluster IP (so that a connection walks
 * some dozen rules among thousands of Services), then the port's own chain, whose rules are one
 * DNAT a backend.
 */
import type { Chain, Hook, RuleSet } from "#agents/network/packets.ts";
import type { Backend, ProxyConfig, ServicePortPlan } from "#agents/proxy/plan.ts";

/** A rule for one cluster IP, and the nets of its address that lead to it. */
interface ClusterIpRule {
  /** `10.43`, or an IPv6 address with the last group 0. */
  wide: string;
  /** `10.43.7`; empty for IPv6. */
  narrow: string;
  rule: string;
}

/** What one service port adds to the node's rules. */
export interface ServicePortRules {
  /** Its own chains, of table nat. */
  chains: readonly Chain[];
  clusterIp: ReadonlyArray<ClusterIpRule>;
  external: readonly string[];
  nodePort: readonly string[];
  /** Of table filter: what has no endpoint, or none here. */
  refusals: readonly string[];
  /** Backends that may be the sender themselves. */
  hairpins: readonly string[];
}

const width = (config: ProxyConfig): string => (config.family === "IPv6" ? "/128" : "/32");
const markSet = (config: ProxyConfig): string => {
  const bit = `0x${config.markBit.toString(16)}`;
  return `-j MARK --set-xmark ${bit}/${bit}`;
};

function clusterCidr(config: ProxyConfig): string {
  const v6 = config.family === "IPv6";
  return config.clusterCidr.split(",").find((cidr) => cidr.includes(":") === v6) ?? "";
}

function destination({ ip, port }: Backend): string {
  return ip.includes(":") ? `[${ip}]:${port}` : `${ip}:${port}`;
}

/**
 * One DNAT a backend, each with an equal chance; a client with affinity first tries the last one.
 */
function backendRules(port: ServicePortPlan, backends: readonly Backend[]): string[] {
  const rules: string[] = [];
  const name = (backend: Backend) => `--name @AFF-${port.id}/${destination(backend)}`;
  const dnat = (backend: Backend) => `-j DNAT --to-destination ${destination(backend)}`;
  if (port.affinitySeconds !== undefined) {
    for (const backend of backends) {
      const recent = `-m recent ${name(backend)} --update --seconds ${port.affinitySeconds} --reap`;
      rules.push(`-p ${port.protocol} ${recent} ${dnat(backend)}`);
    }
  }
  backends.forEach((backend, i) => {
    const left = backends.length - i;
    const chance =
      left === 1 ? "" : ` -m statistic --mode random --probability ${(1 / left).toFixed(10)}`;
    const keep = port.affinitySeconds === undefined ? "" : ` -m recent ${name(backend)} --set`;
    rules.push(`-p ${port.protocol}${chance}${keep} ${dnat(backend)}`);
  });
  return rules;
}

/** What comes from outside: masqueraded, unless it must stay here and keep the client's address. */
function externalRules(port: ServicePortPlan, config: ProxyConfig): string[] {
  const all = `-j @SVC-${port.id}`;
  if (!port.externalLocal) return [markSet(config), all];
  const local = "-m addrtype --src-type LOCAL";
  const rules = [`${local} ${markSet(config)}`, `${local} ${all}`];
  const cluster = clusterCidr(config);
  // Traffic from inside is not bound by the policy of outside traffic.
  if (cluster !== "") rules.unshift(`-s ${cluster} ${all}`);
  if (port.here.length > 0) rules.push(`-j @SVL-${port.id}`);
  return rules;
}

function portChains(port: ServicePortPlan, config: ProxyConfig): Chain[] {
  const chains: Chain[] = [];
  const add = (kind: string, rules: readonly string[]) =>
    chains.push({ table: "nat", name: `${kind}-${port.id}`, rules });
  if (port.everywhere.length > 0 && (!port.internalLocal || isExternal(port))) {
    add("SVC", backendRules(port, port.everywhere));
  }
  if (port.here.length > 0 && (port.internalLocal || (port.externalLocal && isExternal(port)))) {
    add("SVL", backendRules(port, port.here));
  }
  if (port.everywhere.length === 0 || !isExternal(port)) return chains;
  add("EXT", externalRules(port, config));
  if (port.sourceRanges.length > 0 && port.loadBalancerIps.length > 0) {
    // The node itself reaches its own load balancer's address from that address.
    const sources = [...port.sourceRanges, ...port.loadBalancerIps.map((ip) => ip + width(config))];
    add(
      "FW",
      sources.map((source) => `-s ${source} -j @EXT-${port.id}`),
    );
  }
  return chains;
}

function isExternal(port: ServicePortPlan): boolean {
  return (
    port.nodePort !== undefined || port.externalIps.length > 0 || port.loadBalancerIps.length > 0
  );
}

export function servicePortRules(port: ServicePortPlan, config: ProxyConfig): ServicePortRules {
  const { id, protocol } = port;
  const note = `-m comment --comment "${id}"`;
  const at = (ip: string) => `-d ${ip}${width(config)} -p ${protocol} --dport ${port.port} ${note}`;
  const atNode = `-p ${protocol} --dport ${port.nodePort} ${note}`;
  const served = port.everywhere.length > 0;
  const inside = port.internalLocal ? port.here : port.everywhere;
  const insideTarget = `-j @${port.internalLocal ? "SVL" : "SVC"}-${id}`;
  const firewalled = port.sourceRanges.length > 0;
  const refusals: string[] = [];
  if (inside.length === 0) {
    const answer = served ? "-j DROP" : "-j REJECT";
    refusals.push(...port.clusterIps.map((ip) => `${at(ip)} ${answer}`));
  }
  const outside = [...port.externalIps, ...port.loadBalancerIps];
  if (!served || (port.externalLocal && port.here.length === 0)) {
    const answer = served ? "-j DROP" : "-j REJECT";
    refusals.push(...outside.map((ip) => `${at(ip)} ${answer}`));
    if (port.nodePort !== undefined) {
      refusals.push(`${atNode} -m addrtype --dst-type LOCAL ${answer}`);
    }
  } else if (firewalled) {
    refusals.push(...port.loadBalancerIps.map((ip) => `${at(ip)} -j DROP`));
  }
  const toLoadBalancer = `-j @${firewalled ? "FW" : "EXT"}-${id}`;
  return {
    chains: portChains(port, config),
    clusterIp:
      inside.length === 0
        ? []
        : port.clusterIps.map((ip) => ({ ...netsOf(ip), rule: `${at(ip)} ${insideTarget}` })),
    external: served
      ? [
          ...port.externalIps.map((ip) => `${at(ip)} -j @EXT-${id}`),
          ...port.loadBalancerIps.map((ip) => `${at(ip)} ${toLoadBalancer}`),
        ]
      : [],
    nodePort: served && port.nodePort !== undefined ? [`${atNode} -j @EXT-${id}`] : [],
    refusals,
    hairpins: [...port.everywhere, ...port.here].flatMap(({ ip, local }) =>
      local === false ? [] : [ip],
    ),
  };
}

/** The address with its last group 0. */
function ipv6Net(ip: string): string {
  const head = ip.slice(0, ip.lastIndexOf(":"));
  return head.endsWith(":") || head === "" ? `${head}:` : `${head}:0`;
}

function netsOf(ip: string): { wide: string; narrow: string } {
  if (ip.includes(":")) return { wide: ipv6Net(ip), narrow: "" };
  const [a, b, c] = ip.split(".");
  return { wide: `${a}.${b}`, narrow: `${a}.${b}.${c}` };
}

/** Chains that lead by address to the rules of cluster IPs. */
function clusterIpChains(
  ports: readonly ServicePortRules[],
  config: ProxyConfig,
): { chains: Chain[]; jumps: string[] } {
  const cluster = clusterCidr(config);
  const mark = cluster === "" ? [] : [`! -s ${cluster} ${markSet(config)}`];
  const nets = new Map<string, Map<string, string[]>>();
  for (const { clusterIp } of ports) {
    for (const { wide, narrow, rule } of clusterIp) {
      const net = nets.get(wide) ?? new Map<string, string[]>();
      nets.set(wide, net);
      const bucket = net.get(narrow);
      if (bucket === undefined) net.set(narrow, [rule]);
      else bucket.push(rule);
    }
  }
  const chains: Chain[] = [];
  const jumps: string[] = [];
  const nat = (name: string, list: readonly string[]) =>
    chains.push({ table: "nat", name, rules: list });
  for (const [wide, net] of [...nets].sort(([x], [y]) => (x < y ? -1 : 1))) {
    const buckets = [...net].sort(([x], [y]) => (x < y ? -1 : 1));
    if (config.family === "IPv6") {
      // All addresses that share all but the last group: one flat chain.
      jumps.push(`-d ${wide}/112 -j @NET-${wide}`);
      nat(`NET-${wide}`, [...mark, ...buckets.flatMap(([, list]) => list)]);
      continue;
    }
    jumps.push(`-d ${wide}.0.0/16 -j @NET-${wide}`);
    nat(`NET-${wide}`, [
      ...mark,
      ...buckets.map(([narrow]) => `-d ${narrow}.0/24 -j @NET-${narrow}`),
    ]);
    for (const [narrow, list] of buckets) nat(`NET-${narrow}`, list);
  }
  return { chains, jumps };
}

function hooksOf(): Hook[] {
  const fresh = "-m conntrack --ctstate NEW";
  return [
    { table: "nat", from: "PREROUTING", to: "SERVICES" },
    { table: "nat", from: "OUTPUT", to: "SERVICES" },
    { table: "nat", from: "POSTROUTING", to: "MASQUERADE" },
    { table: "filter", from: "INPUT", to: "REFUSALS", match: fresh },
    { table: "filter", from: "OUTPUT", to: "REFUSALS", match: fresh },
    { table: "filter", from: "FORWARD", to: "REFUSALS", match: fresh },
    { table: "filter", from: "FORWARD", to: "FORWARDS" },
  ];
}

/** What iptables' own filter must let pass, whoever translates. */
export function forwardRules(config: ProxyConfig): RuleSet {
  return {
    chains: [{ table: "filter", name: "FORWARDS", rules: filterForwards(config) }],
    hooks: hooksOf().filter(({ to }) => to === "FORWARDS"),
  };
}

function filterForwards(config: ProxyConfig): string[] {
  const bit = `0x${config.markBit.toString(16)}`;
  const cluster = clusterCidr(config);
  const going = "-m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT";
  return [
    // Policies come before: what they let begin needs no further look, packet by packet.
    ...(cluster === "" ? [] : [`-s ${cluster} ${going}`, `-d ${cluster} ${going}`]),
    // An answer that conntrack lost track of would leave with the pod's address and reset the
    // client.
    ...(cluster === "" ? [] : [`-s ${cluster} -m conntrack --ctstate INVALID -j DROP`]),
    `-m mark --mark ${bit}/${bit} -j ACCEPT`,
    `-m conntrack --ctstate DNAT ${going}`,
  ];
}

function gather(
  ports: readonly ServicePortRules[],
  what: "external" | "nodePort" | "refusals" | "hairpins",
): string[] {
  const all: string[] = [];
  for (const port of ports) for (const rule of port[what]) all.push(rule);
  return all;
}

/** All packet rules of the node's Services. */
export function joinRules(ports: readonly ServicePortRules[], config: ProxyConfig): RuleSet {
  const bit = `0x${config.markBit.toString(16)}`;
  const clusterIps = clusterIpChains(ports, config);
  const hairpins = gather(ports, "hairpins").sort();
  const itself = [...new Set(hairpins)].map((ip) => {
    const address = ip + width(config);
    return `-s ${address} -d ${address} -j MASQUERADE`;
  });
  const nat = (name: string, rules: readonly string[]): Chain => ({ table: "nat", name, rules });
  const chains: Chain[] = [];
  for (const port of ports) chains.push(...port.chains);
  return {
    chains: [
      ...chains,
      ...clusterIps.chains,
      nat("NODEPORTS", gather(ports, "nodePort")),
      nat("SERVICES", [
        ...(config.localAddresses ?? [])
          .filter((ip) => ip.includes(":") === (config.family === "IPv6"))
          .map((ip) => `-d ${ip}${width(config)} -j RETURN`),
        ...clusterIps.jumps,
        ...gather(ports, "external"),
        "-m addrtype --dst-type LOCAL -j @NODEPORTS",
      ]),
      nat("HAIRPIN", itself),
      nat("MASQUERADE", [
        "-m conntrack --ctstate DNAT -j @HAIRPIN",
        `-m mark ! --mark ${bit}/${bit} -j RETURN`,
        `-j MARK --set-xmark ${bit}/0x0`,
        "-j MASQUERADE --random-fully",
      ]),
      { table: "filter", name: "REFUSALS", rules: gather(ports, "refusals") },
      { table: "filter", name: "FORWARDS", rules: filterForwards(config) },
    ],
    hooks: hooksOf(),
  };
}
