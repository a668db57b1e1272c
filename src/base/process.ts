/**
 * The one way to run another program to its end: argv, a time limit, bounded output. Never a shell.
 */
import { TimeoutError } from "#base/errors.ts";
import { limits } from "#base/limits.ts";
import { ownEnvironment } from "#base/programs.ts";

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

export const runProcess: Run = async (argv, options = {}) => {
  const timeoutMs = options.timeoutMs ?? limits.processMsMax;
  const own = options.cleanEnv === true ? {} : ownEnvironment();
  const child = Bun.spawn([...argv], {
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
