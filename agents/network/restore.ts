/**
 * Packet rules to the text of `iptables-restore`, and back from the text of `iptables-save`. Pure:
 * `iptables.ts` runs the programs.
 */
import type { Chain, Hook } from "#agents/network/packets.ts";
import { assert, mustBeLine } from "#base/assert.ts";

export type Table = Chain["table"];

/** Names remembered at once: more than the chains of 10,000 service ports. */
const NAMES_MAX = 65_536;
/** XT_EXTENSION_MAXNAMELEN - 1. */
const CHAIN_NAME_MAX = 28;

/** 62 bits of a text in 12 characters: for names that must not collide (cyrb53's mixing). */
function longHash(text: string): string {
  let a = 0xdeadbeef;
  let b = 0x41c6ce57;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    a = Math.imul(a ^ code, 2654435761);
    b = Math.imul(b ^ code, 1597334677);
  }
  a = Math.imul(a ^ (a >>> 16), 2246822507) ^ Math.imul(b ^ (b >>> 13), 3266489909);
  b = Math.imul(b ^ (b >>> 16), 2246822507) ^ Math.imul(a ^ (a >>> 13), 3266489909);
  const digits = (part: number) => (part >>> 0).toString(36).padStart(7, "0").slice(-6);
  return (digits(a) + digits(b)).toUpperCase();
}

/** Chains in the kernel: `BRAMBLE-` and a capital, or `BRAMBLE-tag-` and a capital. */
export class ChainNames {
  readonly #prefix: string;
  readonly #known = new Map<string, string>();

  constructor(tag: string) {
    assert(/^[a-z0-9]{0,7}$/.test(tag), `instance tag ${tag}`);
    this.#prefix = tag === "" ? "BRAMBLE-" : `BRAMBLE-${tag}-`;
  }

  /** Short capital names as they are; others as their first word and a hash. */
  of(name: string): string {
    let known = this.#known.get(name);
    if (known === undefined) {
      const space = CHAIN_NAME_MAX - this.#prefix.length;
      const word = /^[A-Z]+-/.exec(name)?.[0] ?? "H";
      const hash = longHash(name);
      const plain = /^[A-Z][A-Z0-9.-]*$/.test(name) && name.length <= space;
      const hashed = word.length + hash.length <= space ? word + hash : `H${hash}`.slice(0, space);
      known = this.#prefix + (plain ? name : hashed);
      if (this.#known.size >= NAMES_MAX) this.#known.clear();
      this.#known.set(name, known);
    }
    return known;
  }

  isOurs(chain: string): boolean {
    return chain.startsWith(this.#prefix) && /^[A-Z]/.test(chain.slice(this.#prefix.length));
  }

  /** A rule with `@NAME` replaced. */
  rule(rule: string): string {
    return rule.includes("@") ? rule.replace(/ @(\S+)/g, (_, name) => ` ${this.of(name)}`) : rule;
  }
}

/** What one restore does to one table. Names are the kernel's. */
export interface TableChange {
  table: Table;
  /** Chains made or filled anew, whole. Rules still name chains as `@NAME`. */
  write: Array<{ name: string; rules: readonly string[] }>;
  remove: string[];
  /** Jumps to delete, by their text in iptables-save without `-A CHAIN `. */
  unhook: Array<{ from: Hook["from"]; text: string }>;
  /** Jumps to put on top of the built-in chains, in order. */
  hook: Array<{ from: Hook["from"]; to: string; match: string }>;
}

/** Flushes before it deletes, and all inside one COMMIT: no packet meets a half-made table. */
export function* renderChange(change: TableChange, names: ChainNames): Generator<string> {
  yield `*${change.table}\n`;
  for (const { name } of change.write) yield `:${name} - [0:0]\n`;
  for (const name of change.remove) yield `:${name} - [0:0]\n`;
  for (const { from, text } of change.unhook) yield `-D ${from} ${text}\n`;
  for (const { name, rules } of change.write) {
    let text = "";
    for (const rule of rules) text += `-A ${name} ${names.rule(mustBeLine(rule))}\n`;
    yield text;
  }
  for (const { from, to, match } of change.hook.toReversed()) {
    yield `-I ${from} 1 ${match === "" ? "" : `${match} `}-j ${to}\n`;
  }
  for (const name of change.remove) yield `-X ${name}\n`;
  yield "COMMIT\n";
}

export interface KernelChain {
  rules: number;
  /** Of the rules' text as the kernel shows it. */
  print: number;
}

export interface KernelTable {
  /** Ours only. */
  chains: Map<string, KernelChain>;
  /** Jumps from built-in chains into ours, in order. */
  hooks: Array<{ from: string; to: string; text: string }>;
}

export type KernelState = Map<string, KernelTable>;

function fingerprint(text: string, before: number): number {
  let hash = before;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return hash >>> 0;
}

/** Reads `iptables-save` line by line, so that the caller can pause between lines. */
export class SaveReader {
  readonly state: KernelState = new Map();
  readonly #names: ChainNames;
  #table: KernelTable = { chains: new Map(), hooks: [] };
  #open = false;

  constructor(names: ChainNames) {
    this.#names = names;
  }

  line(line: string): void {
    if (line.startsWith("-A ")) {
      this.#rule(line);
    } else if (line.startsWith(":")) {
      const name = line.slice(1, line.indexOf(" "));
      if (this.#names.isOurs(name)) this.#table.chains.set(name, { rules: 0, print: 0 });
    } else if (line.startsWith("*")) {
      this.#table = { chains: new Map(), hooks: [] };
      this.state.set(line.slice(1).trim(), this.#table);
      this.#open = true;
    } else if (line.startsWith("COMMIT")) {
      this.#open = false;
    }
  }

  /** False where the text was cut off in the middle of a table. */
  get whole(): boolean {
    return !this.#open;
  }

  #rule(line: string): void {
    const space = line.indexOf(" ", 3);
    const name = line.slice(3, space < 0 ? undefined : space);
    const chain = this.#table.chains.get(name);
    if (chain !== undefined) {
      chain.rules++;
      chain.print = fingerprint(line, chain.print);
      return;
    }
    const jump = / -[jg] (\S+)/.exec(line)?.[1];
    if (jump === undefined || !this.#names.isOurs(jump)) return;
    this.#table.hooks.push({ from: name, to: jump, text: line.slice(space + 1) });
  }
}
