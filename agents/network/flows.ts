/**
 * Connections that the kernel's tracking leads where nobody answers. Without their entry a client's
 * next packet is sent as a new one is: elsewhere where there is another pod, else it is refused.
 * TCP only. Best effort: clients notice a missing program only where a pod ends without a word.
 */
import {
  type Deletion,
  deletionArgs,
  deletionsOf,
  distinctFlows,
  type FlowsTo,
  lookFor,
  presentFlows,
} from "#agents/network/flowplaces.ts";
import type { Clock } from "#base/clock.ts";
import { messageOf } from "#base/errors.ts";
import { limits } from "#base/limits.ts";
import type { Log } from "#base/log.ts";
import type { Run, RunResult } from "#base/process.ts";

export interface Flows {
  /** Gathers what comes together. Resolves when it is done or could not be; never throws. */
  end(targets: readonly FlowsTo[]): Promise<void>;
  /** Resolves when nothing that was asked for these addresses is still to be done. */
  ended(ips: readonly string[]): Promise<void>;
}

interface Round {
  targets: FlowsTo[];
  over: Promise<void>;
  resolve: () => void;
}

function newRound(): Round {
  const { promise: over, resolve } = Promise.withResolvers<void>();
  return { targets: [], over, resolve };
}

interface FlowsOptions {
  run: Run;
  clock: Clock;
  log: Log;
}

class TrackedFlows implements Flows {
  readonly #options: FlowsOptions;
  /** What is asked for until it begins, and what is under way. */
  #next = newRound();
  #current: Round | undefined;
  #isBusy = false;
  /** Programs before 1.4.7 read no list. */
  #readsLists = true;
  #hasTold = false;

  constructor(options: FlowsOptions) {
    this.#options = options;
  }

  end(targets: readonly FlowsTo[]): Promise<void> {
    const { targets: waiting, over } = this.#next;
    waiting.push(...targets.slice(0, limits.flowsWaitingMax - waiting.length));
    if (waiting.length === 0) return Promise.resolve();
    if (!this.#isBusy) this.#later();
    return over;
  }

  async ended(ips: readonly string[]): Promise<void> {
    const rounds = [this.#current, this.#next].filter((round) => round !== undefined);
    const concerned = rounds.filter(({ targets }) => targets.some(({ ip }) => ips.includes(ip)));
    await Promise.all(concerned.map(({ over }) => over));
  }

  #later(): void {
    this.#isBusy = true;
    this.#options.clock.after(limits.flowsGatherMs, () => void this.#work());
  }

  async #work(): Promise<void> {
    const round = this.#next;
    this.#current = round;
    this.#next = newRound();
    try {
      await this.#delete(distinctFlows(round.targets));
    } catch (error) {
      const level = this.#hasTold ? "debug" : "warn";
      const words = "connections to where nobody is stay";
      this.#options.log[level](words, { error: messageOf(error) });
      this.#hasTold = true;
    }
    this.#current = undefined;
    this.#isBusy = false;
    round.resolve();
    if (this.#next.targets.length > 0) this.#later();
  }

  async #delete(targets: readonly FlowsTo[]): Promise<void> {
    const wanted = targets.flatMap(deletionsOf);
    const found = await this.#present(wanted);
    if (found.length === 0) return;
    const lines = found.map(deletionArgs);
    if (lines.length > 1 && this.#readsLists && (await this.#deleteList(lines))) return;
    for (const line of lines) {
      const result = await this.#run(line);
      // "0 flow entries have been deleted": there was none, or it ended in between.
      if (result.exitCode !== 0 && !result.stderr.includes("0 flow entries")) fail(result);
    }
  }

  /** Looked for where that is less work: a deletion reads all that the kernel tracks, too. */
  async #present(wanted: readonly Deletion[]): Promise<readonly Deletion[]> {
    const looks = lookFor(wanted);
    if (wanted.length <= looks.length) return wanted;
    let listing = "";
    for (const look of looks) {
      const result = await this.#run(look);
      if (result.exitCode !== 0) fail(result);
      listing += result.stdout;
    }
    return presentFlows(wanted, listing);
  }

  /** One program for all. False: it cannot. */
  async #deleteList(lines: readonly string[][]): Promise<boolean> {
    const text = lines.map((line) => `${line.join(" ")}\n`).join("");
    const result = await this.#run(["-R", "-"], text);
    if (result.exitCode === 0) return true;
    // Our own lines are well-formed: the option is what it does not know.
    if (result.exitCode !== WRONG_USE) fail(result);
    this.#readsLists = false;
    return false;
  }

  #run(args: readonly string[], stdin?: string): Promise<RunResult> {
    const timeoutMs = limits.flowsMsMax;
    return this.#options.run(["conntrack", ...args], {
      timeoutMs,
      ...(stdin !== undefined && { stdin }),
    });
  }
}

/** Exit status of `conntrack` for arguments that it does not take. */
const WRONG_USE = 2;

function fail({ stderr, exitCode }: RunResult): never {
  throw new Error(`conntrack: ${stderr.trim() || `exit ${exitCode}`}`);
}

export function createFlows(options: FlowsOptions): Flows {
  return new TrackedFlows(options);
}
