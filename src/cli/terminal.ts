/** The terminal that the command line was typed in: raw keys, its size, and bytes as they come. */
import { runOnTerminal } from "#base/process.ts";
import { findProgram } from "#base/programs.ts";

export interface Size {
  width: number;
  height: number;
}

export const isTerminal = (): boolean => process.stdin.isTTY === true;

export function terminalSize(): Size {
  return { width: process.stdout.columns ?? 80, height: process.stdout.rows ?? 24 };
}

/** Keys go on as they are typed until the answer is called, which puts the terminal back. */
export function rawMode(onResize: (size: Size) => void): () => void {
  const resized = (): void => onResize(terminalSize());
  process.stdin.setRawMode(true);
  // Raw mode leaves output alone, and the other side ends its lines itself.
  const stty = findProgram("stty");
  const translate = (how: string) => stty && runOnTerminal([stty, how]);
  translate("-opost");
  process.stdout.on("resize", resized);
  resized();
  return () => {
    process.stdout.off("resize", resized);
    translate("opost");
    process.stdin.setRawMode(false);
  };
}

/** Standard input until it ends or the signal aborts. */
export async function pumpStdin(
  to: (chunk: Uint8Array) => Promise<void>,
  signal: AbortSignal,
): Promise<void> {
  const stream = process.stdin;
  const stop = (): void => {
    stream.destroy();
  };
  signal.addEventListener("abort", stop, { once: true });
  try {
    for await (const chunk of stream) {
      if (signal.aborted) return;
      await to(typeof chunk === "string" ? Buffer.from(chunk) : new Uint8Array(chunk as Buffer));
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  } finally {
    signal.removeEventListener("abort", stop);
  }
}
