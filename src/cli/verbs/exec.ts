/** bramble exec */
import { UsageError } from "#base/errors.ts";
import { containerFor, podFor, podPath } from "#cli/pods.ts";
import { act, isSet, type Options, type Session, textOf } from "#cli/session.ts";
import { openStream } from "#cli/stream.ts";
import { isTerminal, pumpStdin, rawMode } from "#cli/terminal.ts";
import { ExitStatus, type VerbModule } from "#cli/verb.ts";

const NO_TERMINAL = "Unable to use a TTY - input is not a terminal or the right kind of file\n";

interface Wanted {
  stdin: boolean;
  tty: boolean;
  container: string;
  command: readonly string[];
}

function queryOf({ stdin, tty, container, command }: Wanted): string {
  const query = new URLSearchParams({ container, stdout: "true" });
  for (const word of command) query.append("command", word);
  if (stdin) query.set("stdin", "true");
  if (tty) query.set("tty", "true");
  else query.set("stderr", "true");
  return query.toString();
}

async function run(session: Session, path: string, wanted: Wanted): Promise<number> {
  const { io } = session;
  const stream = await openStream(session, `${path}?${queryOf(wanted)}`, {
    stdout: (bytes) => io.out(bytes),
    stderr: (bytes) => io.err(bytes),
  });
  const ending = new AbortController();
  const restore = wanted.tty && wanted.stdin ? rawMode((size) => stream.resize(size)) : undefined;
  if (wanted.stdin) {
    void pumpStdin((bytes) => stream.write(bytes), ending.signal).then(() => stream.endInput());
  }
  try {
    return await stream.exit;
  } finally {
    ending.abort();
    restore?.();
  }
}

async function exec(session: Session, args: string[], options: Options): Promise<void> {
  const { io } = session;
  const [word, ...command] = args;
  if (word === undefined) {
    throw new UsageError("pod or type/name must be specified", {
      hint: "bramble exec POD -- COMMAND",
    });
  }
  if (command.length === 0) {
    throw new UsageError("you must specify at least one command for the container");
  }
  const stdin = isSet(options, "stdin");
  const asked = isSet(options, "tty");
  const tty = asked && stdin && isTerminal();
  if (asked && stdin && !tty) io.err(NO_TERMINAL);
  const pod = await podFor(session, word, { say: false });
  const container = containerFor(session, pod, textOf(options, "container"));
  const status = await run(session, podPath(pod, "exec"), { stdin, tty, container, command });
  if (status === 0) return;
  io.err(`command terminated with exit code ${status}\n`);
  throw new ExitStatus(status);
}

export const define: VerbModule["define"] = (command, io) => {
  command
    .option("-i, --stdin", "pass standard input on")
    .option("-t, --tty", "standard input is a terminal")
    .option("-c, --container <name>", "in this container")
    .option("-q, --quiet", "say nothing of our own");
  act(command, io, exec);
};
