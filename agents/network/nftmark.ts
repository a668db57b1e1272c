/**
 * A mark in the kernel that says which table is there whole: an empty chain whose name is the
 * table's hash. It goes in the transaction that changes anything and comes back when the table was
 * read and found well, so that an agent that starts again need not write 5,000 Services anew. Pure.
 */
import type { NftState } from "#agents/network/nft.ts";
import type { NftTable } from "#agents/network/tables.ts";

const PREFIX = "whole-";
const HASH_DIGITS = 24;
const PRINTED = new RegExp(`\\n*\\tchain (${PREFIX}\\w+) \\{\\n\\t\\}\\n`);

/** The name of the chain that stands for this table. */
export function markOf({ sets, chains }: NftTable): string {
  const hash = new Bun.CryptoHasher("sha256");
  for (const { name, type, flags, timeoutSeconds, elements } of sets) {
    hash.update(`\n${[name, type, flags, timeoutSeconds]}\n`);
    // The kernel fills a dynamic one.
    if (flags?.includes("dynamic") === true) continue;
    hash.update(Array.from(elements, ([key, value]) => `${key} : ${value}`).join());
  }
  for (const { name, hook, rules } of chains) {
    hash.update(`\n${[name, hook]}\n${rules.join("\n")}`);
  }
  return PREFIX + hash.digest("hex").slice(0, HASH_DIGITS);
}

/** Takes the mark out of what the kernel has; answers its name. */
export function takeMark(state: NftState): string | undefined {
  const mark = [...state.chains.keys()].find((name) => name.startsWith(PREFIX));
  if (mark !== undefined) state.chains.delete(mark);
  return mark;
}

/** What `nft list table` prints, apart from the mark. */
export function apartFromMark(text: string): { text: string; mark: string | undefined } {
  return { text: text.replace(PRINTED, "\n"), mark: PRINTED.exec(text)?.[1] };
}

/** Whether the kernel has the sets and chains of the table, and no others. */
export function hasNames({ sets, chains }: NftState, table: NftTable): boolean {
  return (
    sets.size === table.sets.length &&
    chains.size === table.chains.length &&
    table.sets.every(({ name }) => sets.has(name)) &&
    table.chains.every(({ name }) => chains.has(name))
  );
}
