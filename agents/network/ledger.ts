/**
 * What the kernel is believed to have of our packet rules, and the difference to what is wanted.
 * Pure bookkeeping: `iptables.ts` reads and writes.
 */
import type { Chain, Hook, RuleSet } from "#agents/network/packets.ts";
import type {
  ChainNames,
  KernelChain,
  KernelState,
  Table,
  TableChange,
} from "#agents/network/restore.ts";

export type Wanted = ReadonlyMap<string, RuleSet>;

/** A chain in the kernel. */
interface Known {
  /** What we wrote into it; undefined where an earlier process did. */
  chain: Chain | undefined;
  /** What iptables-save makes of `chain`; undefined until read back. */
  print: number | undefined;
}

/** Changes, and the beliefs to take over once the kernel took them. */
export interface Draft {
  readonly changes: Map<Table, TableChange>;
  readonly chains: Map<string, Chain | undefined>;
  readonly hooks: Map<string, readonly Hook[]>;
  swept: boolean;
}

function sameTexts(a: readonly string[], b: readonly string[]): boolean {
  if (a === b) return true;
  return a.length === b.length && a.every((text, i) => text === b[i]);
}

function sameHooks(a: readonly Hook[], b: readonly Hook[]): boolean {
  return (
    a.length === b.length &&
    a.every((hook, i) => hook.to === b[i]?.to && hook.match === b[i]?.match)
  );
}

function changeOf(draft: Draft, table: Table): TableChange {
  let change = draft.changes.get(table);
  if (change === undefined) {
    change = { table, write: [], remove: [], unhook: [], hook: [] };
    draft.changes.set(table, change);
  }
  return change;
}

const placeOf = (hook: Hook): string => `${hook.table} ${hook.from}`;

export class Ledger {
  readonly #names: ChainNames;
  /** In the order of their hooks. */
  readonly #owners: readonly string[];
  /** By `table kernel-name`; undefined before the kernel was looked at. */
  #chains: Map<string, Known> | undefined;
  /** Our jumps by `table built-in-chain`; missing: not known. */
  readonly #hooks = new Map<string, readonly Hook[]>();
  #swept = false;

  constructor(names: ChainNames, owners: readonly string[]) {
    this.#names = names;
    this.#owners = owners;
  }

  get blank(): boolean {
    return this.#chains === undefined;
  }

  adopt(state: KernelState): void {
    this.#chains = new Map();
    for (const [table, { chains }] of state) {
      for (const name of chains.keys()) {
        this.#chains.set(`${table} ${name}`, { chain: undefined, print: undefined });
      }
    }
  }

  /** After a restore that failed: nothing is known any more. */
  forget(): void {
    this.#chains = undefined;
    this.#hooks.clear();
    this.#swept = false;
  }

  /** Whether the difference for these rules needs a look at the kernel. */
  needsState(wanted: Wanted): boolean {
    if (this.blank || (!this.#swept && this.#complete(wanted))) return true;
    const places = this.#places(wanted);
    for (const [place, hooks] of places) {
      if (!sameHooks(hooks, this.#hooks.get(place) ?? [])) return true;
    }
    for (const [place, hooks] of this.#hooks) {
      if (hooks.length > 0 && !places.has(place)) return true;
    }
    return false;
  }

  /** What changes when `owner` has its wanted rules where it had `before`. */
  difference(
    owner: string,
    before: RuleSet | undefined,
    wanted: Wanted,
    state: KernelState | undefined,
  ): Draft {
    const draft: Draft = { changes: new Map(), chains: new Map(), hooks: new Map(), swept: false };
    const after = wanted.get(owner)?.chains ?? [];
    // Plans hand the same chain over as long as it did not change: most need no other look.
    const same = new Set(this.blank || state !== undefined ? [] : before?.chains);
    const changed = new Set<string>();
    for (const chain of after) {
      if (same.delete(chain)) continue;
      const key = this.#key(chain);
      changed.add(key);
      const written = this.#chains?.get(key)?.chain;
      if (written === undefined || !sameTexts(written.rules, chain.rules)) {
        this.#write(draft, chain);
      }
    }
    for (const chain of state === undefined ? same : (before?.chains ?? [])) {
      const key = this.#key(chain);
      if (!changed.has(key)) this.#remove(draft, key);
    }
    if (state !== undefined) {
      if (!this.#swept) this.#sweep(draft, wanted);
      this.#hook(draft, wanted, state);
    }
    return draft;
  }

  /** What someone else changed: chains and jumps that are not as they were written. */
  mendings(wanted: Wanted, state: KernelState): Draft {
    const draft: Draft = { changes: new Map(), chains: new Map(), hooks: new Map(), swept: false };
    const chains = this.#chains ?? new Map<string, Known>();
    for (const [table, { chains: there }] of state) {
      for (const name of there.keys()) {
        const key = `${table} ${name}`;
        if (!chains.has(key)) chains.set(key, { chain: undefined, print: undefined });
      }
    }
    this.#chains = chains;
    for (const { chains: ours } of wanted.values()) {
      for (const chain of ours) {
        const found = state.get(chain.table)?.chains.get(this.#names.of(chain.name));
        if (!this.#intact(chain, found)) this.#write(draft, chain);
      }
    }
    this.#sweep(draft, wanted);
    this.#hook(draft, wanted, state);
    return draft;
  }

  commit(draft: Draft): void {
    const chains = this.#chains ?? new Map<string, Known>();
    this.#chains = chains;
    for (const [key, chain] of draft.chains) {
      if (chain === undefined) chains.delete(key);
      else chains.set(key, { chain, print: undefined });
    }
    for (const [place, hooks] of draft.hooks) this.#hooks.set(place, hooks);
    this.#swept ||= draft.swept;
  }

  /** Learns the kernel's wording of a chain that has as many rules as were written. */
  #intact(chain: Chain, found: KernelChain | undefined): boolean {
    const known = this.#chains?.get(this.#key(chain));
    if (found === undefined || known?.chain === undefined) return false;
    if (found.rules !== chain.rules.length || !sameTexts(known.chain.rules, chain.rules))
      return false;
    known.print ??= found.print;
    return known.print === found.print;
  }

  #key(chain: Chain): string {
    return `${chain.table} ${this.#names.of(chain.name)}`;
  }

  #write(draft: Draft, chain: Chain): void {
    draft.chains.set(this.#key(chain), chain);
    changeOf(draft, chain.table).write.push({
      name: this.#names.of(chain.name),
      rules: chain.rules,
    });
  }

  #remove(draft: Draft, key: string): void {
    const [table, name] = key.split(" ") as [Table, string];
    if (draft.chains.has(key) || this.#chains?.has(key) !== true) return;
    draft.chains.set(key, undefined);
    changeOf(draft, table).remove.push(name);
  }

  /** Chains of ours that no owner wants: what an earlier process left. */
  #sweep(draft: Draft, wanted: Wanted): void {
    if (!this.#complete(wanted)) return;
    const keys = new Set<string>();
    for (const { chains } of wanted.values()) {
      for (const chain of chains) keys.add(this.#key(chain));
    }
    for (const key of this.#chains?.keys() ?? []) {
      if (!keys.has(key)) this.#remove(draft, key);
    }
    draft.swept = true;
  }

  #complete(wanted: Wanted): boolean {
    return this.#owners.every((owner) => wanted.has(owner));
  }

  #places(wanted: Wanted): Map<string, Hook[]> {
    const places = new Map<string, Hook[]>();
    for (const owner of this.#owners) {
      for (const hook of wanted.get(owner)?.hooks ?? []) {
        const hooks = places.get(placeOf(hook));
        if (hooks === undefined) places.set(placeOf(hook), [hook]);
        else hooks.push(hook);
      }
    }
    return places;
  }

  /** Puts jumps on top, in order, where they are missing, out of order or not known to be right. */
  #hook(draft: Draft, wanted: Wanted, state: KernelState): void {
    const places = this.#places(wanted);
    for (const place of this.#hooks.keys()) if (!places.has(place)) places.set(place, []);
    if (this.#complete(wanted)) {
      for (const [table, { hooks }] of state) {
        for (const { from } of hooks) {
          if (!places.has(`${table} ${from}`)) places.set(`${table} ${from}`, []);
        }
      }
    }
    for (const [place, hooks] of places) this.#hookAt(draft, place, hooks, wanted, state);
  }

  #hookAt(
    draft: Draft,
    place: string,
    hooks: readonly Hook[],
    wanted: Wanted,
    state: KernelState,
  ): void {
    const [table, from] = place.split(" ") as [Table, Hook["from"]];
    const believed = this.#hooks.get(place);
    const targets = hooks.map((hook) => this.#names.of(hook.to));
    // Until all owners have written, jumps of those that have not are left as an earlier process
    // put them.
    const mine = new Set([...targets, ...(believed ?? []).map((hook) => this.#names.of(hook.to))]);
    const there = (state.get(table)?.hooks ?? []).filter(
      (hook) => hook.from === from && (this.#complete(wanted) || mine.has(hook.to)),
    );
    draft.hooks.set(place, hooks);
    const known = believed !== undefined && sameHooks(believed, hooks);
    if (
      known &&
      sameTexts(
        there.map((hook) => hook.to),
        targets,
      )
    )
      return;
    if (hooks.length === 0 && there.length === 0) return;
    const change = changeOf(draft, table);
    change.unhook.push(...there.map(({ text }) => ({ from, text })));
    change.hook.push(
      ...hooks.map(({ to, match }) => ({ from, to: this.#names.of(to), match: match ?? "" })),
    );
  }
}
