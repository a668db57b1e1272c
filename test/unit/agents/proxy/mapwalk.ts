/**
 * A packet's walk over an nft table, as the kernel does it. Knows only what our rules use: another
 * word throws.
 */
import { expect } from "bun:test";
import type { NftTable } from "#agents/network/tables.ts";
import { contains } from "#base/cidr.ts";
import type { Fate, Packet } from "#test/unit/agents/proxy/walk.ts";

export interface MapWorld {
  table: NftTable;
  /** Addresses of the node itself. */
  local: readonly string[];
  /** Chance, in [0, 1). */
  random: () => number;
  /** What dynamic sets remember. */
  clients: Map<string, Set<string>>;
}

const NUMBERS = { tcp: "6", udp: "17", sctp: "132" } as const;

type Verdict = "return" | "drop" | "reject" | "dnat" | "masquerade";

class Walk {
  readonly world: MapWorld;
  readonly packet: Packet;
  dst: string;
  dport: number;
  mark = 0;

  constructor(packet: Packet, world: MapWorld) {
    this.packet = packet;
    this.world = world;
    this.dst = packet.dst;
    this.dport = packet.dport;
  }

  get translated(): boolean {
    return this.dst !== this.packet.dst || this.dport !== this.packet.dport;
  }

  /** The verdict of a chain; undefined where it runs to its end, and after `return`. */
  chain(name: string): Verdict | undefined {
    const chain = this.world.table.chains.find((one) => one.name === name);
    if (chain === undefined) throw new Error(`no chain ${name}`);
    for (const rule of chain.rules) {
      const verdict = new Rule(this, rule).run();
      if (verdict === "return") return undefined;
      if (verdict !== undefined) return verdict === "end" ? undefined : verdict;
    }
    return undefined;
  }

  isLocal(address: string): boolean {
    return this.world.local.includes(address) || address.startsWith("127.");
  }

  elements(name: string): ReadonlyMap<string, string> {
    const set = this.world.table.sets.find((one) => one.name === name);
    if (set === undefined) throw new Error(`no set ${name}`);
    return set.elements;
  }
}

/** `end`: a goto's chain ran to its end, and the chain that went there with it. */
type Outcome = Verdict | "end" | undefined;

class Rule {
  readonly #walk: Walk;
  readonly #words: string[];

  constructor(walk: Walk, rule: string) {
    this.#walk = walk;
    this.#words = rule.split(/\s+/);
  }

  run(): Outcome {
    for (;;) {
      const word = this.#next();
      if (word === undefined) return undefined;
      const outcome = this.#statement(word);
      if (outcome === "no match") return undefined;
      if (outcome !== "go on") return outcome;
    }
  }

  #next(): string | undefined {
    return this.#words.shift();
  }

  #statement(word: string): Outcome | "go on" | "no match" {
    switch (word) {
      case "return":
      case "drop":
      case "reject":
        return word;
      case "masquerade":
        this.#words.length = 0;
        return "masquerade";
      case "goto":
        return this.#walk.chain(this.#next() ?? "") ?? "end";
      case "jump":
        return this.#walk.chain(this.#next() ?? "") ?? "go on";
      case "update":
        return this.#remember();
      case "dnat":
        return this.#translate();
      case "ct":
        return this.#tracked();
      default:
        this.#words.unshift(word);
        return this.#match();
    }
  }

  #remember(): "go on" {
    const set = (this.#next() ?? "").slice(1);
    expect(this.#words.splice(0, 4)[0]).toBe("{");
    const known = this.#walk.world.clients.get(set) ?? new Set<string>();
    this.#walk.world.clients.set(set, known.add(this.#walk.packet.src));
    return "go on";
  }

  #translate(): Outcome | "no match" {
    this.#words.splice(0, 2);
    const direct = /^\[?(.+?)\]?:(\d+)$/.exec(this.#words[0] ?? "");
    let [ip, port] = [direct?.[1], direct?.[2]];
    if (direct === null) {
      const key = this.#expression();
      expect(this.#next()).toBe("map");
      const value = this.#walk.elements((this.#next() ?? "").slice(1)).get(key);
      if (value === undefined) return "no match";
      [ip, port] = value.split(" . ");
    }
    this.#walk.dst = ip ?? "";
    this.#walk.dport = Number(port);
    return "dnat";
  }

  #tracked(): "go on" | "no match" {
    const what = `${this.#next()} ${this.#next()}`;
    if (what === "state new") return "go on";
    if (what !== "status dnat") throw new Error(`ct ${what}`);
    return this.#walk.translated ? "go on" : "no match";
  }

  #match(): Outcome | "go on" | "no match" {
    const [first, second] = this.#words;
    if (first === "fib") {
      const side = second === "saddr" ? this.#walk.packet.src : this.#walk.dst;
      this.#words.splice(0, 4);
      return this.#walk.isLocal(side) ? "go on" : "no match";
    }
    if (first === "meta" && second === "mark") return this.#markWords();
    const value = this.#expression();
    const word = this.#next() ?? "";
    if (word === "vmap") return this.#lookUp(value);
    if (word.startsWith("@")) return this.#isIn(word.slice(1), value) ? "go on" : "no match";
    if (word === "!=") return holds(this.#next() ?? "", value) ? "no match" : "go on";
    return holds(word, value) ? "go on" : "no match";
  }

  #markWords(): "go on" | "no match" {
    const text = this.#words.splice(0, 3).join(" ");
    if (text === "meta mark set") {
      const [, , operator, bit] = this.#words.splice(0, 4);
      const value = Number(bit);
      this.#walk.mark = operator === "|" ? this.#walk.mark | value : this.#walk.mark ^ value;
      return "go on";
    }
    const [bit = "", unequal, value] = this.#words.splice(0, 3);
    expect([text, unequal]).toEqual(["meta mark &", "!="]);
    return (this.#walk.mark & Number(bit)) !== Number(value) ? "go on" : "no match";
  }

  #lookUp(value: string): Outcome | "no match" {
    const name = this.#next() ?? "";
    const found = name.startsWith("@") ? this.#walk.elements(name.slice(1)) : this.#inline();
    const verdict = found.get(value);
    if (verdict === undefined) return "no match";
    return new Rule(this.#walk, verdict).run();
  }

  #inline(): Map<string, string> {
    const text = this.#words.splice(0).join(" ").replace(/\}$/, "");
    return new Map(
      text.split(",").map((part) => {
        const [key = "", value = ""] = part.split(" : ");
        return [key.trim(), value.trim()] as const;
      }),
    );
  }

  #isIn(name: string, value: string): boolean {
    const known = this.#walk.world.clients.get(name);
    if (known !== undefined) return known.has(value);
    const elements = this.#walk.elements(name);
    if (name !== "allowed") return elements.has(value);
    const cut = value.lastIndexOf(" . ");
    return [...elements.keys()].some((key) => {
      const at = key.lastIndexOf(" . ");
      return (
        key.slice(0, at) === value.slice(0, cut) &&
        contains(key.slice(at + 3), value.slice(cut + 3))
      );
    });
  }

  /** A value of parts; a random number is drawn as the kernel draws it. */
  #expression(): string {
    const parts: string[] = [];
    do {
      parts.push(this.#part());
    } while (this.#words[0] === "." && this.#next() !== undefined);
    return parts.join(" . ");
  }

  #part(): string {
    const { packet } = this.#walk;
    const words = this.#words.splice(0, 2).join(" ");
    if (/^ip6? saddr$/.test(words)) return packet.src;
    if (/^ip6? daddr$/.test(words)) return this.#walk.dst;
    if (words === "meta l4proto") return NUMBERS[packet.protocol];
    if (words === "numgen random") {
      const [, count] = this.#words.splice(0, 2);
      return String(Math.floor(this.#walk.world.random() * Number(count)));
    }
    if (words === "th dport") return String(this.#walk.dport);
    if (words !== `${packet.protocol} dport`) throw new Error(`word ${words}`);
    return String(this.#walk.dport);
  }
}

const holds = (range: string, value: string): boolean =>
  range === value || (range.includes("/") && contains(range, value));

/** The first packet of a connection, from its sender to where it ends. */
export function sendOverMaps(packet: Packet, world: MapWorld): Fate {
  const walk = new Walk(packet, world);
  const fromNode = world.local.includes(packet.src);
  walk.chain(fromNode ? "output" : "prerouting");
  const toNode = world.local.includes(walk.dst);
  const filters = fromNode ? ["output"] : toNode ? ["input"] : ["forward"];
  for (const name of filters) {
    const verdict = walk.chain(`filter-${name}`);
    if (verdict === "reject") return { fate: "REJECT" };
    if (verdict === "drop") return { fate: "DROP" };
  }
  const masqueraded = walk.chain("postrouting") === "masquerade";
  const { dst, dport, translated } = walk;
  return { fate: "delivered", dst, dport, masqueraded, translated };
}
