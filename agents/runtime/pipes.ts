/** Named pipes between this process and a shim. */
import { closeSync, constants, openSync, writeSync } from "node:fs";
import { type Clock, sleep } from "#base/clock.ts";
import { limits } from "#base/limits.ts";
import type { Run } from "#base/process.ts";

/**
 * A descriptor that is closed once, by its owner: Bun's streams work on a copy of it, and a second
 * close would hit whatever has got its number by then.
 */
export class OwnedFd {
  readonly number: number;
  #open = true;

  constructor(path: string, flags: number) {
    this.number = openSync(path, flags | constants.O_NONBLOCK);
  }

  /**
   * How many of the bytes the pipe took, 0 when it is full; undefined when nobody reads it any
   * more, or it is closed. Not by Bun's writer: one that waits for room keeps its copy for ever.
   */
  write(bytes: Uint8Array): number | undefined {
    if (!this.#open) return undefined;
    try {
      return writeSync(this.number, bytes);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === "EAGAIN") return 0;
      if (code === "EPIPE") return undefined;
      throw error;
    }
  }

  close(): void {
    if (!this.#open) return;
    this.#open = false;
    closeSync(this.number);
  }
}

/** Only their owner may use them. */
export async function makePipes(run: Run, paths: readonly string[]): Promise<void> {
  const made = await run(["mkfifo", "-m", "600", ...paths]);
  if (made.exitCode !== 0) throw new Error(`mkfifo: ${made.stderr.trim()}`);
}

/** Opened before a writer is there: what it writes waits in the pipe. */
export function openForReading(path: string): OwnedFd {
  return new OwnedFd(path, constants.O_RDONLY);
}

/** Opened before a reader is there: for reading as well, for writing alone would fail. */
export function openForWriting(path: string): OwnedFd {
  return new OwnedFd(path, constants.O_RDWR);
}

function isRead(path: string): boolean {
  try {
    new OwnedFd(path, constants.O_WRONLY).close();
    return true;
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENXIO") return false;
    throw error;
  }
}

/**
 * Takes the place of an untouched `openForWriting` once the other side reads, or after
 * `execInputMsMax`: what is written and closed before that is lost, and whoever opens the pipe then
 * waits for a writer for ever.
 */
export async function onceRead(path: string, mine: OwnedFd, clock: Clock): Promise<OwnedFd> {
  // It keeps the pipe open; while nobody of this side reads, a look finds the other side alone.
  const writer = new OwnedFd(path, constants.O_WRONLY);
  try {
    mine.close();
    const endMs = clock.monotonic() + limits.execInputMsMax;
    while (!isRead(path) && clock.monotonic() < endMs) await sleep(clock, limits.execInputLookMs);
    return openForWriting(path);
  } finally {
    writer.close();
  }
}
