/**
 * An nft table to the text of one transaction, and back from the text of `nft list table`. Pure:
 * `nftables.ts` runs the program.
 */

import { isMap, type NftChain, type NftSet, type NftTable } from "#agents/network/tables.ts";
import { mustBeLine } from "#base/assert.ts";

/** What the kernel has of a chain. */
export interface KernelNftChain {
  /** What we wrote into it; undefined where it is not known to be there. */
  rules: readonly string[] | undefined;
  /** Rules in it, and their text as nft prints it. */
  count: number;
  print: string;
}

export interface NftState {
  /** By name. Without elements: it is there, with whatever is in it. */
  sets: Map<string, { map: boolean; elements: ReadonlyMap<string, string> | undefined }>;
  chains: Map<string, KernelNftChain>;
}

/** Elements in one line of a transaction. */
const ELEMENTS_PER_LINE = 500;

export const emptyState = (): NftState => ({ sets: new Map(), chains: new Map() });

const isDynamic = (set: NftSet): boolean => set.flags?.includes("dynamic") === true;

function declaration(set: NftSet): string {
  const parts = [set.type];
  if (set.flags !== undefined) parts.push(`flags ${set.flags}`);
  if (set.timeoutSeconds !== undefined) parts.push(`timeout ${set.timeoutSeconds}s`);
  if (isDynamic(set)) parts.push("size 65535");
  return parts.join("; ");
}

function* inLines(head: string, elements: readonly string[]): Generator<string> {
  for (let at = 0; at < elements.length; at += ELEMENTS_PER_LINE) {
    yield `${mustBeLine(`${head} { ${elements.slice(at, at + ELEMENTS_PER_LINE).join(", ")} }`)}\n`;
  }
}

function sameRules(a: readonly string[] | undefined, b: readonly string[]): boolean {
  return a === b || (a?.length === b.length && a.every((rule, i) => rule === b[i]));
}

/** Keys that go, and elements that come; a changed value does both. */
function elementChanges(
  before: ReadonlyMap<string, string>,
  after: ReadonlyMap<string, string>,
): { gone: string[]; fresh: string[] } {
  const gone: string[] = [];
  const fresh: string[] = [];
  for (const [key, value] of before) if (after.get(key) !== value) gone.push(key);
  for (const [key, value] of after) {
    if (before.get(key) !== value) fresh.push(value === "" ? key : `${key} : ${value}`);
  }
  return { gone, fresh };
}

/**
 * One transaction from what the kernel has to what is wanted; nothing where that is the same. An
 * element may lead to a chain, so new chains come before elements and old ones go after them.
 */
export function* renderTable(
  address: string,
  wanted: NftTable,
  state: NftState,
): Generator<string> {
  const names = new Set(wanted.chains.map(({ name }) => name));
  const setNames = new Set(wanted.sets.map(({ name }) => name));
  if (state.sets.size === 0 && state.chains.size === 0) yield `add table ${address}\n`;
  for (const set of wanted.sets) {
    if (state.sets.has(set.name)) continue;
    yield `add ${isMap(set) ? "map" : "set"} ${address} ${set.name} { ${declaration(set)}; }\n`;
  }
  for (const { name, hook } of wanted.chains) {
    if (state.chains.has(name)) continue;
    yield `add chain ${address} ${name}${hook === undefined ? "" : ` { ${hook}; }`}\n`;
  }
  const changes = wanted.sets
    .filter((set) => !isDynamic(set))
    .map(({ name, elements }) => {
      const known = state.sets.get(name);
      const flush = known !== undefined && known.elements === undefined;
      const before = known?.elements ?? new Map();
      return { name, kind: known?.map ? "map" : "set", flush, ...elementChanges(before, elements) };
    });
  for (const { name, kind, flush } of changes)
    if (flush) yield `flush ${kind} ${address} ${name}\n`;
  for (const { name, gone } of changes) yield* inLines(`delete element ${address} ${name}`, gone);
  for (const chain of wanted.chains) yield* chainText(address, chain, state.chains.get(chain.name));
  for (const { name, fresh } of changes) yield* inLines(`add element ${address} ${name}`, fresh);
  const old = [...state.chains.keys()].filter((name) => !names.has(name));
  for (const name of old) yield `flush chain ${address} ${name}\n`;
  for (const name of old) yield `delete chain ${address} ${name}\n`;
  for (const [name, { map }] of state.sets) {
    if (!setNames.has(name)) yield `delete ${map ? "map" : "set"} ${address} ${name}\n`;
  }
}

function* chainText(
  address: string,
  { name, rules }: NftChain,
  known: KernelNftChain | undefined,
): Generator<string> {
  if (sameRules(known?.rules, rules)) return;
  if (known !== undefined) yield `flush chain ${address} ${name}\n`;
  for (const rule of rules) yield `add rule ${address} ${name} ${mustBeLine(rule)}\n`;
}

/** What the kernel has once it took the transaction. */
export function stateOf(table: NftTable, before: NftState): NftState {
  return {
    sets: new Map(
      table.sets.map((set) => [set.name, { map: isMap(set), elements: set.elements }] as const),
    ),
    chains: new Map(
      table.chains.map(({ name, rules }) => {
        const known = before.chains.get(name);
        const kept = known !== undefined && sameRules(known.rules, rules);
        return [name, kept ? known : { rules, count: rules.length, print: "" }] as const;
      }),
    ),
  };
}

/** Reads of what `nft -n list` prints the one table. */
export function readTable(text: string, address: string): NftState {
  const state = emptyState();
  const head = `table ${address} {`;
  let ours = false;
  let elements: Map<string, string> | undefined;
  let chain: KernelNftChain | undefined;
  let within = false;
  for (const line of text.split("\n")) {
    if (line.startsWith("table ")) ours = line === head;
    if (!ours) continue;
    const words = line.trim();
    const [, kind, name = ""] = /^(map|set|chain) (\S+) \{$/.exec(words) ?? [];
    if (kind === "chain") {
      chain = { rules: undefined, count: 0, print: "" };
      state.chains.set(name, chain);
    } else if (kind !== undefined) {
      elements = new Map();
      state.sets.set(name, { map: kind === "map", elements });
    } else if (words === "}") {
      chain = undefined;
      elements = undefined;
    } else if (elements !== undefined) {
      within ||= words.startsWith("elements = {");
      if (within) addElements(elements, words);
      if (words.endsWith("}")) within = false;
    } else if (chain !== undefined && words !== "" && !words.startsWith("type ")) {
      chain.count++;
      chain.print += `${words}\n`;
    }
  }
  return state;
}

function addElements(elements: Map<string, string>, words: string): void {
  const list = words.replace(/^elements = \{/, "").replace(/\}$/, "");
  for (const part of list.split(",")) {
    const element = part.trim();
    if (element === "") continue;
    const colon = element.indexOf(" : ");
    if (colon < 0) elements.set(element, "");
    else elements.set(element.slice(0, colon), element.slice(colon + 3));
  }
}
