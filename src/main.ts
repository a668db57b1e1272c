#!/usr/bin/env bun
/**
 * The program: finds the subcommand, loads it, and turns what it throws into one line and an exit
 * status.
 */
import { constants } from "node:os";
import { Command, CommanderError } from "commander";
import { messageOf, OperatorError, UsageError } from "#base/errors.ts";
import { type CliIo, ExitStatus, type Verb } from "#cli/verb.ts";
import { clientVerbs } from "#cli/verbs.ts";
import { leanly } from "./main/lean.ts";
import { ownVerbs } from "./main/verbs.ts";
import { version } from "./main/version.ts";

const io: CliIo = {
  out: (text) => process.stdout.write(text),
  err: (text) => process.stderr.write(text),
  env: process.env,
  stdin: () => Bun.stdin.text(),
  stdoutIsTerminal: process.stdout.isTTY === true,
  now: () => Date.now(),
  version,
};

const verbs: readonly Verb[] = [...ownVerbs, ...clientVerbs];

function build(): Command {
  return new Command("bramble")
    .description("Kubernetes for small hardware in one file")
    .version(version, "-v, --version")
    .exitOverride()
    .showHelpAfterError("(--help shows the usage)")
    .configureOutput({ writeOut: io.out, writeErr: io.err });
}

async function run(argv: readonly string[]): Promise<void> {
  const program = build();
  const asked = argv.find((word) => !word.startsWith("-"));
  for (const verb of verbs) {
    const command = program
      .command(verb.name)
      .description(verb.summary)
      .aliases([...(verb.aliases ?? [])]);
    const wanted = asked === verb.name || verb.aliases?.includes(asked ?? "");
    if (wanted && verb.stays === true) leanly(argv);
    if (wanted) (await verb.load()).define(command.copyInheritedSettings(program), io);
    else command.allowUnknownOption().allowExcessArguments();
  }
  await program.parseAsync([...argv], { from: "user" });
}

/** 0 done, 1 failed, 2 wrong usage; says why in one line. */
function statusOf(error: unknown): number {
  if (error instanceof ExitStatus) return error.status;
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
  io.err(`bramble: ${messageOf(error)}\n`);
  if (error instanceof OperatorError && error.hint !== undefined) io.err(`  ${error.hint}\n`);
  return error instanceof UsageError ? 2 : 1;
}

// Who reads our output may leave before its end, as `head` does.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  process.exit(error.code === "EPIPE" ? 128 + constants.signals.SIGPIPE : 1);
});

async function main(): Promise<void> {
  try {
    await run(process.argv.slice(2));
  } catch (error) {
    process.exitCode = statusOf(error);
    if (process.env["BRAMBLE_DEBUG"] !== undefined) console.error(error);
  }
  // Connections that a library keeps open must not keep a finished command alive.
  await new Promise<void>((resolve) => process.stdout.write("", () => resolve()));
  process.exit();
}

void main();
