/** Reads a log as `kubectl logs` asks for it: from a line or a time on, stamped, cut, followed. */
import type { FileHandle } from "node:fs/promises";
import type { LogFile } from "#agents/kubelet/logfile.ts";
import { openRegular } from "#base/beneath.ts";
import { limits } from "#base/limits.ts";

export interface LogOptions {
  follow: boolean;
  timestamps: boolean;
  tailLines: number | undefined;
  sinceMs: number | undefined;
  limitBytes: number | undefined;
}

const NEWLINE = 10;
/** Go's RFC3339Nano with the digits that we have. */
const stamp = (ms: number): string => `${new Date(ms).toISOString().replace("Z", "000000Z")} `;

async function readAt(file: FileHandle, offset: number, length: number): Promise<Buffer> {
  const buffer = Buffer.allocUnsafe(length);
  const { bytesRead } = await file.read(buffer, 0, length, offset);
  return buffer.subarray(0, bytesRead);
}

/** Where the last `lines` lines begin. */
async function tailOffset(
  file: FileHandle,
  from: number,
  end: number,
  lines: number,
): Promise<number> {
  if (lines === 0) return end;
  let offset = end;
  let missing = lines;
  let last = true;
  while (offset > from) {
    const length = Math.min(limits.logChunkBytes, offset - from);
    const chunk = await readAt(file, offset - length, length);
    for (let i = chunk.length - 1; i >= 0; i--) {
      // The newline that ends the last line begins no other.
      const ending = last;
      last = false;
      if (chunk[i] !== NEWLINE || ending) continue;
      missing--;
      if (missing === 0) return offset - length + i + 1;
    }
    offset -= length;
  }
  return from;
}

/** The beginning of the first whole line at or after `offset`. */
async function lineStart(
  file: FileHandle,
  from: number,
  offset: number,
  end: number,
): Promise<number> {
  if (offset <= from) return from;
  let at = offset - 1;
  while (at < end) {
    const chunk = await readAt(file, at, Math.min(limits.logChunkBytes, end - at));
    if (chunk.length === 0) break;
    const newline = chunk.indexOf(NEWLINE);
    if (newline >= 0) return at + newline + 1;
    at += chunk.length;
  }
  return end;
}

/** Puts the time before each line; the state is whether a line begins. */
class Stamper {
  readonly #log: LogFile;
  #atStart = true;

  constructor(log: LogFile) {
    this.#log = log;
  }

  stamp(chunk: Buffer, offset: number): Buffer {
    const parts: Buffer[] = [];
    for (let at = 0; at < chunk.length; ) {
      if (this.#atStart) parts.push(Buffer.from(stamp(this.#log.timeOf(offset + at))));
      const newline = chunk.indexOf(NEWLINE, at);
      const end = newline < 0 ? chunk.length : newline + 1;
      parts.push(chunk.subarray(at, end));
      this.#atStart = newline >= 0;
      at = end;
    }
    return Buffer.concat(parts);
  }
}

/** Resolves at the next change of the log, or when the reader goes away. */
function nextChange(log: LogFile, signal: AbortSignal): { promise: Promise<void>; end(): void } {
  const { promise, resolve } = Promise.withResolvers<void>();
  const stop = log.onChange(resolve);
  const left = () => resolve();
  signal.addEventListener("abort", left, { once: true });
  return {
    promise,
    end() {
      stop();
      signal.removeEventListener("abort", left);
      resolve();
    },
  };
}

async function firstOffset(
  file: FileHandle,
  log: LogFile,
  options: LogOptions,
  end: number,
): Promise<number> {
  // What was given back to the disk may end within a line.
  let offset = log.start === 0 ? 0 : await lineStart(file, 0, log.start + 1, end);
  if (options.sinceMs !== undefined) {
    const since = log.offsetSince(options.sinceMs);
    if (since > offset) offset = await lineStart(file, offset, since, end);
  }
  if (options.tailLines === undefined) return offset;
  return Math.max(offset, await tailOffset(file, offset, end, options.tailLines));
}

/**
 * Yields the bytes to send. Without `follow` it ends where the log ended when the read began:
 * otherwise `tail` would return more lines than requested, and a container that writes without
 * pause would never let it end. With `follow` it ends with the container.
 */
export async function* readLog(
  log: LogFile,
  options: LogOptions,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  const file = await openRegular(log.path);
  const stamper = options.timestamps ? new Stamper(log) : undefined;
  let left = options.limitBytes ?? Number.POSITIVE_INFINITY;
  try {
    const { size } = await file.stat();
    const end = options.follow ? Number.POSITIVE_INFINITY : size;
    let offset = await firstOffset(file, log, options, size);
    while (!signal.aborted && left > 0) {
      // Asked for before reading: bytes that come meanwhile are not slept through.
      const change = nextChange(log, signal);
      const over = log.ended;
      const length = Math.max(0, Math.min(limits.logChunkBytes, end - offset));
      const chunk = await readAt(file, offset, length);
      if (chunk.length > 0) {
        change.end();
        const out = stamper?.stamp(chunk, offset) ?? chunk;
        offset += chunk.length;
        yield out.subarray(0, Math.min(out.length, left));
        left -= out.length;
        continue;
      }
      if (!options.follow || over) {
        change.end();
        return;
      }
      await change.promise;
      change.end();
    }
  } finally {
    await file.close();
  }
}
