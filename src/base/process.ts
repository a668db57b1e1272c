/**
 * The one way to start another program: argv, never a shell, and none of our environment's secrets.
 * `runProcess` runs it to its end, with a time limit and bounded output.
 */
import { closeSync, openSync } from "node:fs";
import type { FileSink, Subprocess } from "bun";
import { TimeoutError } from "#base/errors.ts";
import { limits } from "#base/limits.ts";
import { ownEnvironment, programEnvironment } from "#base/programs.ts";

export interface RunOptions {
  stdin?: string | Uint8Array;
  env?: Record<string, string>;
  /** Only `env`, nothing of this process's own environment. */
  cleanEnv?: boolean;
  timeoutMs?: number;
  signal?: AbortSignal;
}

export interface RunResult {
  exitCode: number;
  stdout: string;
  stderr: string;
}

/**
 * Runs `argv` to its end. Does not throw for an exit status; throws TimeoutError past the limit.
 */
export type Run = (argv: readonly string[], options?: RunOptions) => Promise<RunResult>;

async function bounded(stream: ReadableStream<Uint8Array>): Promise<string> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of stream) {
    size += chunk.length;
    if (size <= limits.processOutputBytesMax) chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}

/** @throws Error if the program name or an argument is invalid. */
function mustBeArguments(argv: readonly string[]): string[] {
  const [program = ""] = argv;
  if (program === "" || program.startsWith("-")) {
    throw new Error(`${JSON.stringify(program)} is no program`);
  }
  const cut = argv.find((word) => word.includes("\0"));
  if (cut !== undefined) throw new Error(`argument ${JSON.stringify(cut)} of ${program} has a NUL`);
  return [...argv];
}

export const runProcess: Run = async (argv, options = {}) => {
  const timeoutMs = options.timeoutMs ?? limits.processMsMax;
  const own = options.cleanEnv === true ? {} : programEnvironment();
  const child = Bun.spawn(mustBeArguments(argv), {
    stdin: options.stdin === undefined ? "ignore" : Buffer.from(options.stdin),
    stdout: "pipe",
    stderr: "pipe",
    env: { ...own, ...options.env },
    ...(options.signal && { signal: options.signal }),
  });
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => {
    child.kill("SIGKILL");
    // Not awaited: a grandchild may hold the pipes open for as long as it lives.
    late.reject(new TimeoutError(`${argv[0]} took more than ${timeoutMs} ms`));
  }, timeoutMs);
  try {
    const done = Promise.all([bounded(child.stdout), bounded(child.stderr), child.exited]);
    const [stdout, stderr, exitCode] = await Promise.race([done, late.promise]);
    return { exitCode, stdout, stderr };
  } finally {
    clearTimeout(timer);
  }
};

/** A program whose input and output are streams. */
export type Piped = Subprocess<"pipe", "pipe", "pipe"> & { readonly stdin: FileSink };

export const startPiped = (argv: readonly string[]): Piped =>
  Bun.spawn(mustBeArguments(argv), {
    stdin: "pipe",
    stdout: "pipe",
    stderr: "pipe",
    env: programEnvironment(),
  });

/** Runs to its end with this process's terminal as its input. */
export function runOnTerminal(argv: readonly string[]): void {
  const env = programEnvironment();
  Bun.spawnSync(mustBeArguments(argv), {
    stdin: "inherit",
    stdout: "ignore",
    stderr: "ignore",
    env,
  });
}

/**
 * Starts a process in its own session that outlives this one. Appends its output to a file. `isOwn`
 * is for bramble itself, which reads its settings from our environment.
 */
export function startAway(argv: readonly string[], log: string, isOwn: boolean): Subprocess {
  const file = openSync(log, "a", 0o600);
  try {
    const child = Bun.spawn(["setsid", ...mustBeArguments(argv)], {
      stdin: "ignore",
      stdout: file,
      stderr: file,
      env: isOwn ? ownEnvironment() : programEnvironment(),
    });
    child.unref();
    return child;
  } finally {
    closeSync(file);
  }
}
