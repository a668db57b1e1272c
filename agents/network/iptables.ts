/**
 * The single writer of packet rules: what each owner wants, compared with what is there, in one
 * atomic `iptables-restore --noflush` a change. Only chains that changed are written.
 */

import { instanceTag } from "#agents/network/instance.ts";
import type { Draft } from "#agents/network/ledger.ts";
import { Ledger } from "#agents/network/ledger.ts";
import type { Hook, PacketWriter, RuleSet } from "#agents/network/packets.ts";
import type { KernelState, Table, TableChange } from "#agents/network/restore.ts";
import { ChainNames, renderChange, SaveReader } from "#agents/network/restore.ts";
import { assert } from "#base/assert.ts";
import { messageOf } from "#base/errors.ts";
import { limits } from "#base/limits.ts";
import type { Log } from "#base/log.ts";
import type { Run } from "#base/process.ts";
import { nextTurn } from "#base/turn.ts";

export interface IptablesOptions {
  run: Run;
  /** `""` or `default`, else a name of this instance. */
  instance: string;
  log: Log;
  /**
   * Who will write rules, in the order of their hooks. What an earlier process of this instance
   * left is removed only once all have written: an agent's restart must not take Services away.
   */
  owners?: readonly string[];
  family?: "IPv4" | "IPv6";
}

const OWNERS = ["policy", "dns", "proxy", "network"];
/** Lines handled between two pauses of the event loop: some milliseconds on a small board. */
const LINES_PER_TURN = 1_000;

class IptablesWriter implements PacketWriter {
  readonly #options: IptablesOptions;
  readonly #program: string;
  readonly #names: ChainNames;
  readonly #owners: readonly string[];
  readonly #ledger: Ledger;
  /** The newest call of each owner, and what the kernel took. */
  readonly #asked = new Map<string, RuleSet>();
  #applied: ReadonlyMap<string, RuleSet> = new Map();
  #tail: Promise<unknown> = Promise.resolve();

  constructor(options: IptablesOptions) {
    this.#options = options;
    this.#program = options.family === "IPv6" ? "ip6tables" : "iptables";
    this.#names = new ChainNames(instanceTag(options.instance));
    this.#owners = options.owners ?? OWNERS;
    this.#ledger = new Ledger(this.#names, this.#owners);
  }

  apply(owner: string, rules: RuleSet): Promise<void> {
    assert(this.#owners.includes(owner), `${owner} is an owner of packet rules`);
    this.#asked.set(owner, rules);
    return this.#inTurn(async () => {
      // A later call of this owner wins; its rules are then in place already, or come in its own
      // turn.
      if (this.#asked.get(owner) !== rules || this.#applied.get(owner) === rules) return;
      try {
        await this.#place(owner, rules);
      } catch (error) {
        // The kernel may differ from what was believed (someone deleted a jump): look again, once.
        this.#options.log.debug("packet rules refused", { owner, error: messageOf(error) });
        await this.#place(owner, rules);
      }
    });
  }

  verify(): Promise<void> {
    return this.#inTurn(async () => {
      if (this.#applied.size === 0) return;
      const draft = this.#ledger.mendings(this.#applied, await this.#read());
      const mended = await this.#restore(draft);
      if (mended > 0) this.#options.log.warn("packet rules mended", { changes: mended });
    });
  }

  clear(): Promise<void> {
    return this.#inTurn(async () => {
      const changes = new Map<Table, TableChange>();
      for (const [name, { chains, hooks }] of await this.#read()) {
        if (chains.size === 0) continue;
        const table = name as Table;
        const unhook = hooks.map(({ from, text }) => ({ from: from as Hook["from"], text }));
        changes.set(table, { table, write: [], remove: [...chains.keys()], unhook, hook: [] });
      }
      await this.#restoreText(changes);
      this.#ledger.forget();
      this.#asked.clear();
      this.#applied = new Map();
    });
  }

  #inTurn(work: () => Promise<void>): Promise<void> {
    const turn = this.#tail.then(work, work);
    this.#tail = turn.catch(() => {});
    return turn;
  }

  async #place(owner: string, rules: RuleSet): Promise<void> {
    const wanted = new Map(this.#applied).set(owner, rules);
    const state = this.#ledger.needsState(wanted) ? await this.#read() : undefined;
    if (this.#ledger.blank && state !== undefined) this.#ledger.adopt(state);
    await nextTurn();
    await this.#restore(this.#ledger.difference(owner, this.#applied.get(owner), wanted, state));
    this.#applied = wanted;
  }

  /** Applies and books; answers how many chains and jumps were touched. */
  async #restore(draft: Draft): Promise<number> {
    try {
      const touched = await this.#restoreText(draft.changes);
      this.#ledger.commit(draft);
      return touched;
    } catch (error) {
      this.#ledger.forget();
      throw error;
    }
  }

  async #restoreText(changes: ReadonlyMap<Table, TableChange>): Promise<number> {
    let touched = 0;
    let lines = 0;
    const parts: string[] = [];
    for (const change of changes.values()) {
      touched += change.write.length + change.remove.length;
      touched += change.hook.length + change.unhook.length;
      for (const part of renderChange(change, this.#names)) {
        parts.push(part);
        if (++lines % LINES_PER_TURN === 0) await nextTurn();
      }
    }
    if (touched === 0) return 0;
    await nextTurn();
    const result = await this.#options.run([`${this.#program}-restore`, "--noflush", "--wait"], {
      stdin: parts.join(""),
      timeoutMs: limits.packetRulesMsMax,
    });
    if (result.exitCode === 0) return touched;
    const reason = result.stderr.trim() || `exit status ${result.exitCode}`;
    throw new Error(`restore packet rules: ${reason}`);
  }

  async #read(): Promise<KernelState> {
    const result = await this.#options.run([`${this.#program}-save`], {
      timeoutMs: limits.packetRulesMsMax,
    });
    if (result.exitCode !== 0) throw new Error(`read packet rules: ${result.stderr.trim()}`);
    const reader = new SaveReader(this.#names);
    let lines = 0;
    for (let at = 0; at < result.stdout.length; ) {
      const end = result.stdout.indexOf("\n", at);
      reader.line(result.stdout.slice(at, end < 0 ? undefined : end));
      at = end < 0 ? result.stdout.length : end + 1;
      if (++lines % LINES_PER_TURN === 0) await nextTurn();
    }
    if (!reader.whole) throw new Error("read packet rules: more output than is read");
    return reader.state;
  }
}

export function createIptablesWriter(options: IptablesOptions): PacketWriter {
  return new IptablesWriter(options);
}
