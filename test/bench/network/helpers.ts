/** Small programs of this folder, each in a process of its own that ends with its standard input. */
import { join } from "node:path";
import { measuring } from "#test/bench/ends.ts";
import type { Page } from "#test/bench/network/getbody.ts";

export interface Helper {
  /** Its first words. */
  readonly said: string;
  /** Resolves with what it said after them. */
  readonly end: () => Promise<string>;
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
  const decoder = new TextDecoder();
  const words = child.stdout[Symbol.asyncIterator]();
  const { value } = await words.next();
  const end = async (): Promise<string> => {
    child.stdin.end();
    let rest = "";
    for (let part = await words.next(); !part.done; part = await words.next()) {
      rest += decoder.decode(part.value, { stream: true });
    }
    if ((await child.exited) !== 0) throw new Error(`${program} exited with ${child.exitCode}`);
    return rest;
  };
  return { said: decoder.decode(value).trim(), end };
}

/** Milliseconds that answers take until the promise ends, as a client in a process of its own sees. */
export async function latencies(page: Page, until: Promise<unknown>): Promise<number[]> {
  const client = await startHelper("askpage.ts", { args: [JSON.stringify(page)] });
  let told = "";
  await until.finally(async () => {
    told = await client.end();
  });
  return JSON.parse(told) as number[];
}

/** What any program takes beside the same load. */
export const BARE_ANSWERS = "a program that only sends queries back";

/** `at`: where dnsperf finds it. */
export async function startBareAnswers(before: readonly string[] = []) {
  const { said, end } = await startHelper("bareanswers.ts", { before });
  return { at: ["-s", "127.0.0.1", "-p", said], end };
}
