/**
 * A packet's walk over rendered rules, as the kernel does it. Knows only what our rules use:
 * another word throws.
 */

import type { RuleSet } from "#agents/network/packets.ts";
import { contains } from "#base/cidr.ts";

export interface Packet {
  src: string;
  dst: string;
  protocol: "tcp" | "udp" | "sctp";
  dport: number;
}

export interface World {
  rules: RuleSet;
  /** Addresses of the node itself. */
  local: readonly string[];
  /** Chance, in [0, 1). */
  random: () => number;
  /** What `recent` remembers: list name to sources. */
  recent: Map<string, Set<string>>;
}

export type Fate =
  | { fate: "delivered"; dst: string; dport: number; masqueraded: boolean; translated: boolean }
  | { fate: "REJECT" | "DROP" };

interface Walk extends Packet {
  world: World;
  table: string;
  mark: number;
  original: Packet;
  verdict: string | undefined;
}

function number(text: string | undefined): number {
  return Number(text ?? Number.NaN);
}

/** Takes the words of a rule one by one; each match answers whether it holds. */
class Words {
  readonly #words: string[];
  constructor(rule: string) {
    this.#words = (rule.match(/"[^"]*"|\S+/g) ?? []).map((word) => word.replaceAll('"', ""));
  }
  next(): string | undefined {
    return this.#words.shift();
  }
}

function addrtype(walk: Walk, words: Words): boolean {
  const side = words.next();
  const type = words.next();
  if (type !== "LOCAL") throw new Error(`addrtype ${type}`);
  const address = side === "--dst-type" ? walk.dst : walk.src;
  return walk.world.local.includes(address) || address.startsWith("127.");
}

function ctstate(walk: Walk, words: Words): boolean {
  if (words.next() !== "--ctstate") throw new Error("conntrack match");
  const states = (words.next() ?? "").split(",");
  const translated = walk.original.dst !== walk.dst || walk.original.dport !== walk.dport;
  return states.includes("NEW") || (states.includes("DNAT") && translated);
}

function statistic(walk: Walk, words: Words): boolean {
  for (let i = 0; i < 3; i++) words.next();
  return walk.world.random() < number(words.next());
}

function recent(walk: Walk, words: Words): boolean {
  words.next();
  const name = words.next() ?? "";
  const what = words.next();
  const seen = walk.world.recent.get(name) ?? new Set<string>();
  walk.world.recent.set(name, seen);
  if (what === "--set") {
    seen.add(walk.src);
    return true;
  }
  for (let i = 0; i < 3; i++) words.next();
  return seen.has(walk.src);
}

function extension(walk: Walk, words: Words): boolean {
  const module = words.next();
  if (module === "addrtype") return addrtype(walk, words);
  if (module === "conntrack") return ctstate(walk, words);
  if (module === "statistic") return statistic(walk, words);
  if (module === "recent") return recent(walk, words);
  if (module === "comment") {
    words.next();
    words.next();
    return true;
  }
  if (module !== "mark") throw new Error(`match ${module}`);
  const word = words.next();
  const negated = word === "!";
  if (negated) words.next();
  const [value, mask] = (words.next() ?? "").split("/").map(Number);
  return ((walk.mark & (mask ?? 0)) === value) !== negated;
}

function inRange(range: string, port: number): boolean {
  const [from, to = from] = range.split(":").map(Number);
  return from !== undefined && to !== undefined && from <= port && port <= to;
}

/** The rule's target where it matches. */
function matches(walk: Walk, rule: string): Words | undefined {
  const words = new Words(rule);
  let holds = true;
  let negated = false;
  for (let word = words.next(); word !== undefined; word = words.next()) {
    if (word === "!") {
      negated = true;
      continue;
    }
    if (word === "-j") return holds ? words : undefined;
    let one: boolean;
    if (word === "-s") one = contains(words.next() ?? "", walk.src);
    else if (word === "-d") one = contains(words.next() ?? "", walk.dst);
    else if (word === "-p") one = words.next() === walk.protocol;
    else if (word === "--dport") one = inRange(words.next() ?? "", walk.dport);
    else if (word === "-m") one = holds && extension(walk, words);
    else throw new Error(`word ${word} in ${rule}`);
    // The kernel stops at the first match that fails: later ones must not count (`recent --set`).
    if (one === negated) holds = false;
    negated = false;
    if (!holds) return undefined;
  }
  throw new Error(`no target in ${rule}`);
}

function target(walk: Walk, words: Words): void {
  const name = words.next() ?? "";
  if (name.startsWith("@")) {
    chain(walk, name.slice(1));
  } else if (name === "MARK") {
    words.next();
    const [value = 0, mask = 0] = (words.next() ?? "").split("/").map(Number);
    walk.mark = mask === 0 ? walk.mark ^ value : (walk.mark & ~mask) | value;
  } else if (name === "DNAT") {
    words.next();
    const [, ip = "", port = ""] = /^\[?(.*?)\]?:(\d+)$/.exec(words.next() ?? "") ?? [];
    walk.dst = ip;
    walk.dport = Number(port);
    walk.verdict = "DNAT";
  } else {
    walk.verdict = name;
  }
}

function chain(walk: Walk, name: string): void {
  const { rules } = walk.world;
  const found = rules.chains.find((one) => one.table === walk.table && one.name === name);
  if (found === undefined) throw new Error(`no chain ${walk.table} ${name}`);
  for (const rule of found.rules) {
    const words = matches(walk, rule);
    if (words === undefined) continue;
    target(walk, words);
    if (walk.verdict === "RETURN") {
      walk.verdict = undefined;
      return;
    }
    if (walk.verdict !== undefined) return;
  }
}

function builtin(walk: Walk, table: string, from: string): string | undefined {
  walk.table = table;
  walk.verdict = undefined;
  for (const hook of walk.world.rules.hooks) {
    if (hook.table !== table || hook.from !== from) continue;
    if (matches(walk, `${hook.match ?? ""} -j @x`) === undefined) continue;
    chain(walk, hook.to);
    if (walk.verdict !== undefined) return walk.verdict;
  }
  return undefined;
}

/** The first packet of a connection, from its sender to where it ends. */
export function send(packet: Packet, world: World): Fate {
  const walk: Walk = { ...packet, world, table: "", mark: 0, original: packet, verdict: undefined };
  const fromNode = world.local.includes(packet.src);
  builtin(walk, "nat", fromNode ? "OUTPUT" : "PREROUTING");
  const toNode = world.local.includes(walk.dst);
  const filters = fromNode ? ["OUTPUT"] : toNode ? ["INPUT"] : ["FORWARD"];
  if (fromNode && toNode) filters.push("INPUT");
  for (const from of filters) {
    const verdict = builtin(walk, "filter", from);
    if (verdict === "REJECT" || verdict === "DROP") return { fate: verdict };
  }
  const masqueraded = builtin(walk, "nat", "POSTROUTING") === "MASQUERADE";
  const translated = walk.dst !== packet.dst || walk.dport !== packet.dport;
  return { fate: "delivered", dst: walk.dst, dport: walk.dport, masqueraded, translated };
}
