/** Small programs of this folder, each in a process of its own that ends with its standard input. */
import { join } from "node:path";
import { measuring } from "#test/bench/ends.ts";

export interface Helper {
  /** Its first words. */
  readonly said: string;
  readonly end: () => Promise<void>;
}

/** Resolves once it said something. `before`: words ahead of it, such as those of nsenter. */
export async function startHelper(
  program: string,
  { before = [], args = [] }: { before?: readonly string[]; args?: readonly string[] } = {},
): Promise<Helper> {
  const argv = [...before, process.execPath, join(import.meta.dir, program), ...args];
  const child = measuring(() =>
    Bun.spawn(argv, { stdin: "pipe", stdout: "pipe", stderr: "inherit" }),
  );
  const { value } = await child.stdout.getReader().read();
  const end = async (): Promise<void> => {
    child.stdin.end();
    await child.exited;
  };
  return { said: new TextDecoder().decode(value).trim(), end };
}

/** What any program takes beside the same load. */
export const BARE_ANSWERS = "a program that only sends queries back";

/** `at`: where dnsperf finds it. */
export async function startBareAnswers(before: readonly string[] = []) {
  const { said, end } = await startHelper("bareanswers.ts", { before });
  return { at: ["-s", "127.0.0.1", "-p", said], end };
}
