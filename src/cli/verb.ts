/** The shape of one subcommand. `verbs.ts` lists them; each is loaded only when it is asked for. */
import type { Command } from "commander";

/** What a verb may touch of the world. */
export interface CliIo {
  out(text: string | Uint8Array): void;
  err(text: string | Uint8Array): void;
  env: Readonly<Record<string, string | undefined>>;
  /** All of standard input. */
  stdin(): Promise<string>;
  stdoutIsTerminal: boolean;
  now(): number;
  /** Of this program, without a `v`. */
  version: string;
}

export interface VerbModule {
  /**
   * Adds arguments, options and the action. What the action throws becomes one line and an exit
   * status.
   */
  define(command: Command, io: CliIo): void;
}

export interface Verb {
  readonly name: string;
  readonly aliases?: readonly string[];
  /** One line for `bramble --help`. */
  readonly summary: string;
  /** Runs until it is stopped. */
  readonly stays?: true;
  load(): Promise<VerbModule>;
}

/** Ends the process with this status and no more words: they were said already. */
export class ExitStatus extends Error {
  override name = "ExitStatus";
  readonly status: number;
  constructor(status: number) {
    super(`exit status ${status}`);
    this.status = status;
  }
}
