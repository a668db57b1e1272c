/** Commands in a container that are run for their effect: input from a source, output to a sink. */
import { podPath } from "#cli/pods.ts";
import type { Session } from "#cli/session.ts";
import { openStream } from "#cli/stream.ts";
import type { Stored } from "#resources/meta.ts";
import type { Pod } from "#resources/types.gen.ts";

export interface Place {
  pod: Stored<Pod>;
  container: string;
}

export interface Pipes {
  stdin?: AsyncIterable<Uint8Array>;
  stdout?: (bytes: Uint8Array) => void;
}

export interface Executed {
  status: number;
  stderr: string;
}

/** @throws StatusFailure and OperatorError where the command cannot be run. */
export async function execute(
  session: Session,
  { pod, container }: Place,
  command: readonly string[],
  { stdin, stdout }: Pipes = {},
): Promise<Executed> {
  const query = new URLSearchParams({ container, stdout: "true", stderr: "true" });
  for (const word of command) query.append("command", word);
  if (stdin !== undefined) query.set("stdin", "true");
  const decoder = new TextDecoder();
  let stderr = "";
  const stream = await openStream(session, `${podPath(pod, "exec")}?${query}`, {
    stdout: stdout ?? (() => {}),
    stderr: (bytes) => {
      stderr += decoder.decode(bytes, { stream: true });
    },
  });
  if (stdin !== undefined) {
    for await (const chunk of stdin) await stream.write(chunk);
    stream.endInput();
  }
  return { status: await stream.exit, stderr };
}
