/**
 * Service ports to one nft table of global maps. Pure. A new connection takes two look-ups whatever
 * the number of Services: its front (address, protocol, port) leads to a chain that all fronts
 * with as many backends share, and there the front and a random number lead to the backend.
 * Measured at 5,000 Services: loaded in 0.12 s, where 40,000 rules of iptables take 3.5 s.
 */
import type { NftChain, NftSet, NftTable } from "#agents/network/tables.ts";
import { affinityChains } from "#agents/proxy/affinity.ts";
import type { Backend, ProxyConfig, ServicePortPlan } from "#agents/proxy/plan.ts";
import { contains } from "#base/cidr.ts";

/** Before the rules of iptables (-100, 100): a Service's address wins over a host port. */
const PRIORITY = { dnat: -105, masquerade: 95, filter: 0 } as const;

/** Where a front's packets go: which map, keyed by address and port or by node port alone. */
type Choice = "endpoints" | "endpoints-here" | "node-endpoints" | "node-endpoints-here";

/** Maps and sets that fixed chains look into. */
const FIXED = [
  "services",
  "nodeports",
  "refusals",
  "node-refusals",
  "allowed",
  "hairpins",
] as const;
type Protocol = ServicePortPlan["protocol"];
type MapName = (typeof FIXED)[number] | `${Choice}-${Protocol}`;

interface Words {
  ip: "ip" | "ip6";
  /** Mark for masquerading. */
  mark: string;
  bit: string;
  /** Packets of pods; undefined where the family has no pods. */
  cluster: string | undefined;
}

function wordsOf(config: ProxyConfig): Words {
  const v6 = config.family === "IPv6";
  const bit = `0x${config.markBit.toString(16).padStart(8, "0")}`;
  return {
    ip: v6 ? "ip6" : "ip",
    bit,
    mark: `meta mark set meta mark | ${bit}`,
    cluster: config.clusterCidr.split(",").find((cidr) => cidr.includes(":") === v6) || undefined,
  };
}

/** A backend in the words of nft. */
const targetOf = ({ ip, port }: Backend): string => `${ip} . ${port}`;
/** By number: names need /etc/protocols, which a small system may lack. */
const PROTOCOL = { tcp: 6, udp: 17, sctp: 132 } as const;

type Element = readonly [map: MapName, key: string, value: string];

/** A way in, and what belongs to it: who comes first has it whole. */
interface Front {
  map: "services" | "nodeports";
  key: string;
  chain: string;
  elements: readonly Element[];
}

/** What one service port adds to the table. */
export interface PortPart {
  fronts: readonly Front[];
  elements: readonly Element[];
  chains: ReadonlyMap<string, NftChain>;
  affinity: readonly NftSet[];
}

/** A part in the making. */
class Draft implements PortPart {
  readonly fronts: Front[] = [];
  readonly elements: Element[] = [];
  readonly chains = new Map<string, NftChain>();
  readonly affinity: NftSet[] = [];
  readonly words: Words;

  constructor(config: ProxyConfig) {
    this.words = wordsOf(config);
  }

  put(map: MapName, key: string, value = ""): void {
    this.elements.push([map, key, value]);
  }

  chain(name: string, rules: () => readonly string[]): string {
    if (!this.chains.has(name)) this.chains.set(name, { name, rules: rules() });
    return name;
  }
}

/** The last step of a front: a name for chains that end in it, and its words. */
interface Pick {
  name: string;
  rule: string;
}

function pick(
  draft: Draft,
  port: ServicePortPlan,
  choice: Choice,
  backends: readonly Backend[],
): Pick {
  const { ip } = draft.words;
  if (port.affinitySeconds !== undefined) {
    const { sets, chains, name } = affinityChains(port, backends, choice.endsWith("here"), ip);
    for (const chain of chains) draft.chain(chain.name, () => chain.rules);
    draft.affinity.push(...sets);
    return { name, rule: `goto ${name}` };
  }
  const front = choice.startsWith("node-") ? "" : `${ip} daddr . `;
  const draw = `numgen random mod ${backends.length}`;
  const map = `${choice}-${port.protocol}`;
  return {
    name: `${map}-${backends.length}`,
    rule: `dnat ${ip} to ${front}${port.protocol} dport . ${draw} map @${map}`,
  };
}

/** From inside: masqueraded only where the sender is no pod. */
function insideChain(draft: Draft, { name, rule }: Pick): string {
  const { ip, cluster, mark } = draft.words;
  const marked = cluster === undefined ? [] : [`${ip} saddr != ${cluster} ${mark}`];
  return draft.chain(`cluster-${name}`, () => [...marked, rule]);
}

/** From outside, to any node: the answer must come back this way. */
function outsideChain(draft: Draft, { name, rule }: Pick): string {
  return draft.chain(`outside-${name}`, () => [draft.words.mark, rule]);
}

/** From outside, to pods of this node alone, with the client's address; pods may go anywhere. */
function localChain(draft: Draft, all: Pick, here: Pick | undefined): string {
  const { ip, cluster, mark } = draft.words;
  const name = `local-${all.name}-${here?.name ?? "none"}`;
  return draft.chain(name, () => [
    ...(cluster === undefined ? [] : [`${ip} saddr ${cluster} ${all.rule}`]),
    `fib saddr type local ${mark}`,
    `fib saddr type local ${all.rule}`,
    ...(here === undefined ? [] : [here.rule]),
  ]);
}

/** The backends of a front in the map that its chain draws from. */
function drawn(
  choice: Choice,
  { protocol, affinitySeconds }: ServicePortPlan,
  { front, backends }: { front: string; backends: readonly Backend[] },
): Element[] {
  if (affinitySeconds !== undefined) return [];
  return backends.map((backend, i) => [
    `${choice}-${protocol}`,
    `${front} . ${i}`,
    targetOf(backend),
  ]);
}

/** One way in from outside: external address, load balancer or, by its port alone, any of ours. */
function outsideFront(draft: Draft, port: ServicePortPlan, ip: string | undefined) {
  const node = ip === undefined ? "node-" : "";
  const front = ip === undefined ? String(port.nodePort) : `${ip} . ${port.port}`;
  const everywhere: Choice = `${node}endpoints`;
  const all = pick(draft, port, everywhere, port.everywhere);
  const elements = drawn(everywhere, port, { front, backends: port.everywhere });
  if (!port.externalLocal) return { chain: outsideChain(draft, all), elements };
  const near: Choice = `${node}endpoints-here`;
  const here = port.here.length === 0 ? undefined : pick(draft, port, near, port.here);
  elements.push(...drawn(near, port, { front, backends: port.here }));
  return { chain: localChain(draft, all, here), elements };
}

/** CIDRs without those inside of another: an interval set takes no overlap. */
function disjoint(cidrs: readonly string[]): string[] {
  const unique = [...new Set(cidrs)];
  return unique.filter((one) => !unique.some((other) => other !== one && contains(other, one)));
}

/** What nft prints of a range: a single address without its width. */
const rangeOf = (cidr: string): string =>
  cidr.replace(/\/(32|128)$/, (all, bits) => ((bits === "128") === cidr.includes(":") ? "" : all));

function addInside(draft: Draft, port: ServicePortPlan): void {
  const backends = port.internalLocal ? port.here : port.everywhere;
  const choice: Choice = port.internalLocal ? "endpoints-here" : "endpoints";
  for (const ip of port.clusterIps) {
    const key = `${ip} . ${PROTOCOL[port.protocol]} . ${port.port}`;
    if (backends.length === 0) {
      draft.put("refusals", key, port.everywhere.length > 0 ? "drop" : "goto refused");
      continue;
    }
    const chain = insideChain(draft, pick(draft, port, choice, backends));
    const elements = drawn(choice, port, { front: `${ip} . ${port.port}`, backends });
    draft.fronts.push({ map: "services", key, chain, elements });
  }
}

function addOutside(draft: Draft, port: ServicePortPlan): void {
  const served = port.everywhere.length > 0;
  const nowhere = !served || (port.externalLocal && port.here.length === 0);
  const refusal = served ? "drop" : "goto refused";
  const fenced = new Set(port.sourceRanges.length > 0 ? port.loadBalancerIps : []);
  for (const ip of [...port.externalIps, ...port.loadBalancerIps]) {
    const key = `${ip} . ${PROTOCOL[port.protocol]} . ${port.port}`;
    if (nowhere || fenced.has(ip)) draft.put("refusals", key, refusal);
    if (!served) continue;
    const { chain, elements } = outsideFront(draft, port, ip);
    if (!fenced.has(ip)) {
      draft.fronts.push({ map: "services", key, chain, elements });
      continue;
    }
    elements.push(...allowedTo(key, port));
    draft.fronts.push({ map: "services", key, chain: fence(draft, chain), elements });
  }
  if (port.nodePort === undefined) return;
  const key = `${PROTOCOL[port.protocol]} . ${port.nodePort}`;
  if (nowhere) draft.put("node-refusals", key, refusal);
  if (served) {
    draft.fronts.push({ map: "nodeports", key, ...outsideFront(draft, port, undefined) });
  }
}

/** The node itself reaches its own load balancer's address from that address. */
function allowedTo(key: string, port: ServicePortPlan): Element[] {
  const own = port.loadBalancerIps.map((ip) => `${ip}/${ip.includes(":") ? 128 : 32}`);
  return disjoint([...port.sourceRanges, ...own]).map((range) => [
    "allowed",
    `${key} . ${rangeOf(range)}`,
    "",
  ]);
}

/** Lets in who is named; all others are not translated, and dropped for it. */
function fence(draft: Draft, chain: string): string {
  const { ip } = draft.words;
  return draft.chain(`fenced-${chain}`, () => [
    `${ip} daddr . meta l4proto . th dport . ${ip} saddr @allowed goto ${chain}`,
  ]);
}

/** The type of a map of backends: the protocol is in its name, as nft 1.0 knows no `th` there. */
function backendType(name: string, ip: Words["ip"]): string {
  const port = `${name.slice(name.lastIndexOf("-") + 1)} dport`;
  const front = name.startsWith("node-") ? port : `${ip} daddr . ${port}`;
  return `${front} . numgen random mod 4294967295 : ${ip} daddr . ${port}`;
}

function setsOf(
  maps: ReadonlyMap<MapName, ReadonlyMap<string, string>>,
  ip: Words["ip"],
): NftSet[] {
  const front = `${ip} daddr . meta l4proto . th dport`;
  const node = "meta l4proto . th dport";
  const types: Readonly<Record<string, string>> = {
    services: `${front} : verdict`,
    nodeports: `${node} : verdict`,
    refusals: `${front} : verdict`,
    "node-refusals": `${node} : verdict`,
    allowed: `${front} . ${ip} saddr`,
    hairpins: `${ip} saddr . ${ip} daddr`,
  };
  return [...maps].map(([name, elements]) => ({
    name,
    type: `typeof ${types[name] ?? backendType(name, ip)}`,
    ...(name === "allowed" && { flags: "interval" }),
    elements,
  }));
}

function fixedChains({ ip, bit }: Words, localAddresses: readonly string[]): NftChain[] {
  const front = `${ip} daddr . meta l4proto . th dport`;
  const atNode = "fib daddr type local meta l4proto . th dport";
  const base = (name: string, hook: string, priority: number, rules: readonly string[]) => ({
    name,
    hook: `type ${hook} priority ${priority}`,
    rules,
  });
  const { dnat, masquerade, filter } = PRIORITY;
  const refuse = ["ct state new jump refusing"];
  return [
    {
      name: "dispatch",
      rules: [
        ...localAddresses.map((address) => `${ip} daddr ${address} return`),
        `${front} vmap @services`,
        `${atNode} vmap @nodeports`,
      ],
    },
    { name: "refused", rules: ["reject"] },
    { name: "refusing", rules: [`${front} vmap @refusals`, `${atNode} vmap @node-refusals`] },
    base("prerouting", "nat hook prerouting", dnat, ["jump dispatch"]),
    base("output", "nat hook output", dnat, ["jump dispatch"]),
    base("postrouting", "nat hook postrouting", masquerade, [
      `ct status dnat ${ip} saddr . ${ip} daddr @hairpins masquerade`,
      `meta mark & ${bit} != ${bit} return`,
      `meta mark set meta mark ^ ${bit}`,
      "masquerade fully-random",
    ]),
    base("filter-input", "filter hook input", filter, refuse),
    base("filter-forward", "filter hook forward", filter, refuse),
    base("filter-output", "filter hook output", filter, refuse),
  ];
}

function partOf(port: ServicePortPlan, config: ProxyConfig): PortPart {
  const draft = new Draft(config);
  addInside(draft, port);
  addOutside(draft, port);
  for (const { ip, local } of [...port.everywhere, ...port.here]) {
    if (local !== false) draft.put("hairpins", `${ip} . ${ip}`);
  }
  return draft;
}

/** All parts in one table. The first one to claim a key keeps it: ports come in a fixed order. */
class Table {
  readonly maps = new Map<MapName, Map<string, string>>(FIXED.map((name) => [name, new Map()]));
  readonly chains = new Map<string, NftChain>();
  readonly affinity = new Map<string, NftSet>();

  add(part: PortPart): void {
    for (const front of part.fronts) {
      if (!this.#claim(front.map, front.key, `goto ${front.chain}`)) continue;
      for (const [map, key, value] of front.elements) this.#claim(map, key, value);
    }
    for (const [map, key, value] of part.elements) this.#claim(map, key, value);
    for (const [name, chain] of part.chains) {
      if (!this.chains.has(name)) this.chains.set(name, chain);
    }
    for (const set of part.affinity) this.affinity.set(set.name, set);
  }

  #claim(map: MapName, key: string, value: string): boolean {
    let elements = this.maps.get(map);
    if (elements === undefined) {
      elements = new Map();
      this.maps.set(map, elements);
    }
    if (elements.has(key)) return false;
    elements.set(key, value);
    return true;
  }
}

/**
 * Everything of the node's Services but what iptables' own filter must let pass. `parts` keeps what
 * each plan adds, for the same configuration: most changes plan one Service among thousands.
 */
export function serviceMaps(
  ports: readonly ServicePortPlan[],
  config: ProxyConfig,
  parts = new WeakMap<ServicePortPlan, PortPart>(),
): NftTable {
  const table = new Table();
  for (const port of ports) {
    let part = parts.get(port);
    if (part === undefined) {
      part = partOf(port, config);
      parts.set(port, part);
    }
    table.add(part);
  }
  const own = (config.localAddresses ?? []).filter(
    (address) => address.includes(":") === (config.family === "IPv6"),
  );
  const words = wordsOf(config);
  return {
    sets: [...setsOf(table.maps, words.ip), ...table.affinity.values()],
    chains: [...table.chains.values(), ...fixedChains(words, own)],
  };
}
