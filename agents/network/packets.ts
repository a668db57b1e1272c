/**
 * Packet rules as data. Plans of proxy, policy and network make them; one writer renders and
 * applies them as one atomic restore. Chains are named `BRAMBLE-…`; rules of others are never
 * touched.
 */

export interface Chain {
  table: "nat" | "filter" | "mangle";
  /** Without the instance's prefix: `SERVICES`. */
  name: string;
  /**
   * Rules in order, in the words of iptables without `-A CHAIN`: `-p tcp -j ACCEPT`. `@NAME` names
   * another of our chains.
   */
  rules: readonly string[];
}

/** A jump from a built-in chain into one of ours, kept at its place. */
export interface Hook {
  table: Chain["table"];
  from: "PREROUTING" | "INPUT" | "FORWARD" | "OUTPUT" | "POSTROUTING";
  to: string;
  /** Match before the jump: `-m conntrack --ctstate NEW`. */
  match?: string;
}

export interface RuleSet {
  chains: readonly Chain[];
  hooks: readonly Hook[];
}

export interface PacketWriter {
  /** The whole of one owner's rules (`proxy`, `policy`, `network`); changes only what changed. */
  apply(owner: string, rules: RuleSet): Promise<void>;
  /** Reads the kernel and mends what someone else removed. */
  verify(): Promise<void>;
  /** Removes every rule and chain of this instance. */
  clear(): Promise<void>;
}
