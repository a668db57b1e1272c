/**
 * The writer of one nft table of this instance, beside the rules of iptables: what is wanted,
 * compared with what is there, in one transaction a change.
 */
import { instanceTag } from "#agents/network/instance.ts";
import { emptyState, type NftState, readTable, renderTable, stateOf } from "#agents/network/nft.ts";
import { apartFromMark, hasNames, markOf, takeMark } from "#agents/network/nftmark.ts";
import type { NftTable, TableWriter } from "#agents/network/tables.ts";
import { messageOf } from "#base/errors.ts";
import { limits } from "#base/limits.ts";
import type { Log } from "#base/log.ts";
import type { Run } from "#base/process.ts";
import { findProgram } from "#base/programs.ts";

export interface NftablesOptions {
  run: Run;
  /** `""` or `default`, else a name of this instance. */
  instance: string;
  family: "IPv4" | "IPv6";
  log: Log;
}

/** `ip bramble`, or `ip bramble-TAG`. */
export function tableAddress({ instance, family }: Omit<NftablesOptions, "run" | "log">): string {
  const tag = instanceTag(instance);
  return `${family === "IPv6" ? "ip6" : "ip"} bramble${tag === "" ? "" : `-${tag}`}`;
}

class NftablesWriter implements TableWriter {
  readonly #options: NftablesOptions;
  readonly #address: string;
  #wanted: NftTable | undefined;
  /** What the kernel is believed to have; undefined before it was looked at. */
  #known: NftState | undefined;
  /** Hash of what nft printed when all was well, since nothing was written. */
  #wellPrint: number | bigint | undefined;
  /** The chain that says that the table is there whole. */
  #mark: string | undefined;
  #tail: Promise<unknown> = Promise.resolve();

  constructor(options: NftablesOptions) {
    this.#options = options;
    this.#address = tableAddress(options);
  }

  apply(table: NftTable): Promise<void> {
    return this.#inTurn(async () => {
      this.#known ??= await this.#names();
      try {
        if (this.#isWhole(table, this.#known)) this.#known = stateOf(table, this.#known);
        else await this.#change(table, this.#known);
      } catch (error) {
        // Someone else's change, or a layout of an earlier version: all anew, in one step.
        this.#options.log.debug("nft table refused", { error: messageOf(error) });
        await this.#replace(table);
      }
      this.#wanted = table;
    });
  }

  verify(): Promise<void> {
    return this.#inTurn(async () => {
      const wanted = this.#wanted;
      if (wanted === undefined || this.#known === undefined) return;
      const { text, mark } = apartFromMark(await this.#list());
      this.#mark = mark;
      const print = Bun.hash(text);
      if (print === this.#wellPrint) return;
      const found = readTable(text, this.#address);
      for (const [name, chain] of found.chains) {
        const known = this.#known.chains.get(name);
        if (known?.rules === undefined || known.count !== chain.count) continue;
        if (known.print === "" || known.print === chain.print) chain.rules = known.rules;
      }
      const changed = await this.#change(wanted, found);
      if (changed > 0) {
        this.#options.log.warn("nft table mended", { lines: changed });
        return;
      }
      this.#wellPrint = print;
      await this.#markWhole(wanted);
    });
  }

  clear(): Promise<void> {
    return this.#inTurn(async () => {
      // Without the program there is no table of ours.
      if (findProgram("nft") === null) return;
      await this.#run(`add table ${this.#address}\ndelete table ${this.#address}\n`);
      this.#wanted = undefined;
      this.#known = undefined;
      this.#mark = undefined;
    });
  }

  #inTurn(work: () => Promise<void>): Promise<void> {
    const turn = this.#tail.then(work, work);
    this.#tail = turn.catch(() => {});
    return turn;
  }

  /** Of an earlier process, which had read it and found it well. Later looks find what changed. */
  #isWhole(table: NftTable, known: NftState): boolean {
    if (this.#wanted !== undefined || this.#mark === undefined) return false;
    return hasNames(known, table) && this.#mark === markOf(table);
  }

  async #markWhole(table: NftTable): Promise<void> {
    if (this.#mark !== undefined) return;
    const mark = markOf(table);
    await this.#run(`add chain ${this.#address} ${mark}\n`);
    this.#mark = mark;
  }

  /** Answers how many lines it took. */
  async #change(table: NftTable, from: NftState): Promise<number> {
    const lines = [...renderTable(this.#address, table, from)];
    if (lines.length > 0) {
      this.#wellPrint = undefined;
      const unmark =
        this.#mark === undefined ? "" : `delete chain ${this.#address} ${this.#mark}\n`;
      await this.#run(lines.join("") + unmark);
      this.#mark = undefined;
    }
    this.#known = stateOf(table, from);
    return lines.length;
  }

  async #replace(table: NftTable): Promise<void> {
    this.#known = undefined;
    this.#wellPrint = undefined;
    this.#mark = undefined;
    const away = `add table ${this.#address}\ndelete table ${this.#address}\n`;
    await this.#run([away, ...renderTable(this.#address, table, emptyState())].join(""));
    this.#known = stateOf(table, emptyState());
  }

  async #run(stdin: string): Promise<void> {
    const { run } = this.#options;
    const result = await run(["nft", "-f", "-"], { stdin, timeoutMs: limits.packetRulesMsMax });
    if (result.exitCode === 0) return;
    const reason = result.stderr.trim().split("\n", 1)[0] || `exit status ${result.exitCode}`;
    throw new Error(`change nft table: ${reason}`);
  }

  /**
   * What an earlier process left, without elements: to list and compare those of 5,000 Services
   * takes 1 s, to write them anew a third of it. Sets that the kernel fills are kept.
   */
  async #names(): Promise<NftState> {
    const family = this.#address.split(" ", 1)[0];
    const stdin = ["chains", "sets", "maps"].map((what) => `list ${what} ${family}\n`).join("");
    const argv = ["nft", "-t", "-n", "-f", "-"];
    const result = await this.#options.run(argv, { stdin, timeoutMs: limits.packetRulesMsMax });
    if (result.exitCode !== 0) throw new Error(`read nft table: ${result.stderr.trim()}`);
    const found = readTable(result.stdout, this.#address);
    this.#mark = takeMark(found);
    const { sets, chains } = found;
    const names = [...sets].map(([name, { map }]) => [name, { map, elements: undefined }] as const);
    return { sets: new Map(names), chains };
  }

  /** The table as nft prints it; empty where there is none. */
  async #list(): Promise<string> {
    const argv = ["nft", "-n", "list", "table", ...this.#address.split(" ")];
    const result = await this.#options.run(argv, { timeoutMs: limits.packetRulesMsMax });
    if (result.exitCode === 0) return result.stdout;
    if (result.stderr.includes("No such file")) return "";
    throw new Error(`read nft table: ${result.stderr.trim()}`);
  }
}

export function createNftablesWriter(options: NftablesOptions): TableWriter {
  return new NftablesWriter(options);
}
