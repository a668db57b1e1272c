/**
 * An nft table as data: maps, sets and chains of one owner, for plans that look up instead of
 * walking rules. `nftables.ts` renders and applies it as one transaction.
 */

/** A map or a set. Elements are in the words in which nft prints them, so that they compare. */
export interface NftSet {
  name: string;
  /** `typeof ip daddr . meta l4proto . th dport : verdict`; a set has no `:` part. */
  type: string;
  /** `interval`; `dynamic,timeout` for what the kernel itself puts in. */
  flags?: string;
  /** Seconds that an element of a dynamic set stays after its last use. */
  timeoutSeconds?: number;
  /** Keys to values, which are empty in a set. Left alone where the kernel fills it. */
  elements: ReadonlyMap<string, string>;
}

export interface NftChain {
  name: string;
  /** Of a base chain: `type nat hook output priority -105`. */
  hook?: string;
  rules: readonly string[];
}

export interface NftTable {
  sets: readonly NftSet[];
  chains: readonly NftChain[];
}

export interface TableWriter {
  /** The whole table; changes only what changed. */
  apply(table: NftTable): Promise<void>;
  /** Reads the kernel and mends what someone else changed. */
  verify(): Promise<void>;
  /** Removes the table, also one of an earlier process. */
  clear(): Promise<void>;
}

export const isMap = ({ type }: Pick<NftSet, "type">): boolean => type.includes(" : ");
