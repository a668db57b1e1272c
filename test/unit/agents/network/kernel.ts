/**
 * iptables in memory, as far as the writer uses it: save, atomic restore by table, and other hands.
 */
import type { Run, RunResult } from "#base/process.ts";

type Chains = Map<string, string[]>;
const BUILTIN: Record<string, readonly string[]> = {
  nat: ["PREROUTING", "INPUT", "OUTPUT", "POSTROUTING"],
  filter: ["INPUT", "FORWARD", "OUTPUT"],
  mangle: ["PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"],
};

export class FakeKernel {
  tables = new Map<string, Chains>();
  restores: string[] = [];
  saves = 0;
  /** Restores that fail before one works again. */
  failures = 0;

  readonly run: Run = async (argv, options): Promise<RunResult> => {
    if (argv[0] === "iptables-save") {
      this.saves++;
      return { exitCode: 0, stdout: this.save(), stderr: "" };
    }
    if (argv.join(" ") !== "iptables-restore --noflush --wait") throw new Error(argv.join(" "));
    if (this.failures > 0) {
      this.failures--;
      return { exitCode: 4, stdout: "", stderr: "Resource temporarily unavailable" };
    }
    this.restores.push(String(options?.stdin));
    try {
      this.restore(String(options?.stdin));
    } catch (error) {
      return { exitCode: 1, stdout: "", stderr: (error as Error).message };
    }
    return { exitCode: 0, stdout: "", stderr: "" };
  };

  save(): string {
    let text = "# Generated\n";
    for (const [table, chains] of this.tables) {
      text += `*${table}\n`;
      for (const name of chains.keys()) {
        text += `:${name} ${BUILTIN[table]?.includes(name) ? "ACCEPT" : "-"} [0:0]\n`;
      }
      for (const [name, rules] of chains) for (const rule of rules) text += `-A ${name} ${rule}\n`;
      text += "COMMIT\n# Completed\n";
    }
    return text;
  }

  restore(text: string): void {
    let table = "";
    let draft: Chains = new Map();
    for (const line of text.trim().split("\n")) {
      if (line.startsWith("*")) {
        table = line.slice(1);
        draft = new Map([...this.#table(table)].map(([name, rules]) => [name, [...rules]]));
      } else if (line === "COMMIT") {
        this.#check(draft);
        this.tables.set(table, draft);
      } else {
        this.#apply(draft, line);
      }
    }
  }

  #table(table: string): Chains {
    const names = BUILTIN[table] ?? [];
    return this.tables.get(table) ?? new Map(names.map((name) => [name, []]));
  }

  #apply(chains: Chains, line: string): void {
    const [word = "", name = "", ...rest] = line.split(" ");
    if (word.startsWith(":")) {
      chains.set(word.slice(1), []);
      return;
    }
    const rules = chains.get(name);
    if (rules === undefined) throw new Error(`no chain ${name}: ${line}`);
    if (word === "-A") rules.push(rest.join(" "));
    else if (word === "-I") rules.unshift(rest.slice(1).join(" "));
    else if (word === "-D") {
      const at = rules.indexOf(rest.join(" "));
      if (at < 0) throw new Error(`no rule ${line}`);
      rules.splice(at, 1);
    } else if (word === "-X") {
      if (rules.length > 0) throw new Error(`not empty: ${line}`);
      chains.delete(name);
    } else {
      throw new Error(`word ${line}`);
    }
  }

  #check(chains: Chains): void {
    for (const [name, rules] of chains) {
      for (const rule of rules) {
        const target = / -[jg] (\S+)/.exec(` ${rule}`)?.[1] ?? "";
        const known = /^(ACCEPT|DROP|RETURN|MARK|DNAT|MASQUERADE|REJECT)$/.test(target);
        if (!known && !chains.has(target)) throw new Error(`${name}: no target ${target}`);
      }
    }
  }
}
