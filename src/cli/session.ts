/**
 * What every verb that speaks to a cluster shares: its common flags, its connection, its way to
 * fail.
 */
import type { Command } from "commander";
import { messageOf, OperatorError, UsageError } from "#base/errors.ts";
import { failureText, StatusFailure } from "#cli/api.ts";
import { type Connection, connect } from "#cli/connect.ts";
import { type CliIo, ExitStatus } from "#cli/verb.ts";

export interface Session extends Connection {
  io: CliIo;
  /** What `-n` or else the context says. */
  namespace: string;
  /** Whether `-n` was given. */
  namespaceGiven: boolean;
}

/** Options as commander hands them over: text, true, false, or a list of texts. */
export type Options = Readonly<Record<string, unknown>>;

/** The text of an option; undefined where it was not given. */
export function textOf(options: Options, key: string): string | undefined {
  const value = options[key];
  return typeof value === "string" ? value : undefined;
}

export const isSet = (options: Options, key: string): boolean => options[key] === true;

/**
 * `-o=yaml`, `--wait=false` and `--all=true`, as kubectl understands them, in commander's words.
 */
function normalized(argv: readonly string[], command: Command): string[] {
  const end = argv.indexOf("--");
  const own = end < 0 ? argv : argv.slice(0, end);
  const changed = own.map((word) => {
    const short = /^(-[a-zA-Z])=(.*)$/s.exec(word);
    if (short !== null) return `${short[1]}${short[2]}`;
    const long = /^--([a-z-]+)=(true|false)$/.exec(word);
    if (long === null) return word;
    const option = command.options.find(({ long: name }) => name === `--${long[1]}`);
    if (option?.isBoolean() !== true && option !== undefined) return word;
    return long[2] === "true" ? `--${long[1]}` : `--no-${long[1]}`;
  });
  return [...changed, ...argv.slice(own.length)];
}

/** Flags of every verb, and both spellings of a switch. */
function addCommonFlags(command: Command): Command {
  const parse = command.parseOptions.bind(command);
  command.parseOptions = (argv) => parse(normalized(argv, command));
  for (const option of command.options.filter((each) => each.isBoolean() && !each.negate)) {
    const opposite = command.createOption(`--no-${option.name()}`).hideHelp();
    command.addOption(opposite.default(option.defaultValue ?? false));
  }
  return command
    .option("-n, --namespace <name>", "namespace to work in")
    .option("--kubeconfig <file>", "kubeconfig to use")
    .option("--context <name>", "context of the kubeconfig to use")
    .option("-s, --server <url>", "address of the API, instead of the kubeconfig's")
    .option("--token <token>", "bearer token, instead of the kubeconfig's")
    .option("--insecure-skip-tls-verify", "do not check the server's certificate");
}

/** For an option that may be given several times, or with commas. */
export const collected = (value: string, before: readonly string[] = []): string[] => [
  ...before,
  value,
];

function openSession(options: Options, io: CliIo): Session {
  const connection = connect({
    kubeconfig: textOf(options, "kubeconfig"),
    context: textOf(options, "context"),
    server: textOf(options, "server"),
    token: textOf(options, "token"),
    insecureSkipTlsVerify: isSet(options, "insecureSkipTlsVerify"),
    env: io.env,
    warn: (text) => io.err(`Warning: ${text}\n`),
  });
  const given = textOf(options, "namespace");
  const namespaceGiven = given !== undefined && given !== "";
  return {
    ...connection,
    io,
    namespace: namespaceGiven ? given : connection.namespace,
    namespaceGiven,
  };
}

/** One line about what was thrown, in kubectl's words, and the exit status it means. */
export function explain(error: unknown, io: CliIo): number {
  if (error instanceof ExitStatus) return error.status;
  if (error instanceof StatusFailure) io.err(`${failureText(error)}\n`);
  else io.err(`error: ${error instanceof OperatorError ? error.message : messageOf(error)}\n`);
  if (error instanceof OperatorError && error.hint !== undefined) io.err(`  ${error.hint}\n`);
  return error instanceof UsageError ? 2 : 1;
}

export type Work = (session: Session, args: string[], options: Options) => Promise<void>;

/** As `act`, for a verb that does not always speak to a cluster: it opens the session itself. */
export function actAlone(
  command: Command,
  io: CliIo,
  work: (open: () => Session, args: string[], options: Options) => Promise<void>,
): void {
  addCommonFlags(command).argument("[args...]");
  command.action(async (args: string[], options: Options) => {
    try {
      await work(() => openSession(options, io), args, options);
    } catch (error) {
      if (io.env["BRAMBLE_DEBUG"] !== undefined) console.error(error);
      throw new ExitStatus(explain(error, io));
    }
  });
}

/**
 * Adds the common flags and runs `work` with an open session. All own options must be there
 * already.
 */
export const act = (command: Command, io: CliIo, work: Work): void =>
  actAlone(command, io, (open, args, options) => work(open(), args, options));
