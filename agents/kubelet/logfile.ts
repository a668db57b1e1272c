/**
 * The log of one run of a container. The runtime appends raw bytes; which byte came when is noted
 * here while the agent runs. Old bytes are given back to the disk in place, so that offsets never
 * change and no byte is copied: what rotation by renaming would lose or wear.
 */
import { readFileSync, statSync, watch, writeFileSync } from "node:fs";
import { punchHole } from "#agents/kubelet/native.ts";
import type { Cancel, Clock } from "#base/clock.ts";
import { messageOf } from "#base/errors.ts";
import { limits } from "#base/limits.ts";
import type { Log } from "#base/log.ts";

interface Mark {
  /** Bytes below this offset were there at `atMs`. */
  offset: number;
  atMs: number;
}

/** Calls when a file changed, until the answered function is called. */
export type WatchFile = (path: string, changed: () => void) => () => void;

const watchFile: WatchFile = (path, changed) => {
  const watcher = watch(path, changed);
  // The file went away: its container is removed, and nothing more comes.
  watcher.on("error", () => watcher.close());
  return () => watcher.close();
};

export interface LogFileOptions {
  clock: Clock;
  log: Log;
  watchFile?: WatchFile;
}

export class LogFile {
  readonly path: string;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #watchFile: WatchFile;
  readonly #marks: Mark[] = [];
  #unwatch: (() => void) | undefined;
  #pause: Cancel | undefined;
  #settling: Cancel | undefined;
  #seenBytes = 0;
  readonly #listeners = new Set<() => void>();
  /** The first byte that is kept. */
  start = 0;
  /** No more bytes will come. */
  ended = false;

  constructor(path: string, startedAtMs: number, options: LogFileOptions) {
    this.path = path;
    this.#clock = options.clock;
    this.#log = options.log;
    this.#watchFile = options.watchFile ?? watchFile;
    this.start = readStart(path);
    this.#marks.push({ offset: this.start, atMs: startedAtMs });
    const stat = statSync(path, { throwIfNoEntry: false });
    // Written while no agent looked: the last byte came when the file was last changed.
    if (stat !== undefined && stat.size > this.start) this.#mark(stat.size, stat.mtimeMs);
  }

  follow(): void {
    if (this.ended || this.#unwatch !== undefined) return;
    try {
      this.#unwatch = this.#watchFile(this.path, () => this.#changed());
    } catch (error) {
      this.#log.warn("log not followed", { path: this.path, error: messageOf(error) });
    }
  }

  /** The container is over; readers that follow come to their end once the last bytes are here. */
  end(): void {
    if (this.ended) return;
    this.#settling ??= this.#clock.after(limits.logSettleMs, () => {
      this.#note();
      this.ended = true;
      this.close();
      this.#tell();
    });
  }

  close(): void {
    this.#unwatch?.();
    this.#unwatch = undefined;
    for (const cancel of [this.#pause, this.#settling]) cancel?.();
    this.#pause = undefined;
    this.#settling = undefined;
  }

  /** Calls when bytes came or the log ended. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #tell(): void {
    for (const listener of [...this.#listeners]) listener();
  }

  /** At most one note in a while, for a busy log must not keep the agent busy. */
  #changed(): void {
    this.#tell();
    if (this.#pause !== undefined) return;
    this.#note();
    this.#lookLater();
  }

  /**
   * The size is looked at again at the end of a while in which an event or bytes came, even where
   * the event told of nothing new: Bun drops an event that follows another within milliseconds.
   */
  #lookLater(): void {
    this.#pause = this.#clock.after(limits.logMarkMs, () => {
      this.#pause = undefined;
      const before = this.#seenBytes;
      this.#note();
      if (this.#seenBytes === before) return;
      this.#tell();
      this.#lookLater();
    });
  }

  #note(): void {
    const stat = statSync(this.path, { throwIfNoEntry: false });
    if (stat === undefined) return;
    this.#seenBytes = stat.size;
    this.#mark(stat.size, this.#clock.now());
    if (stat.size - this.start > limits.logBytesMax + limits.logPunchBytes) {
      this.#forgetBefore(stat.size - limits.logBytesMax);
    }
  }

  #mark(offset: number, atMs: number): void {
    const last = this.#marks.at(-1);
    if (last !== undefined && last.offset >= offset) return;
    this.#marks.push({ offset, atMs });
    if (this.#marks.length <= limits.logMarksMax) return;
    // Older times become less exact, every second one at a time.
    for (let i = this.#marks.length - 3; i > 0; i -= 2) this.#marks.splice(i, 1);
  }

  #forgetBefore(offset: number): void {
    const bytes = offset - (offset % limits.logPunchBytes);
    // First the note of it: a reader must never meet the zeros.
    const noted = this.#noteStart(bytes);
    this.start = bytes;
    if (!punchHole(this.path, bytes)) {
      this.#log.warn("log not shortened: the file system cannot", { path: this.path });
    }
    // A full disk has room for it only now.
    if (!noted) this.#noteStart(bytes);
  }

  /** For agents after this one. False where the disk has no room. */
  #noteStart(bytes: number): boolean {
    try {
      writeFileSync(`${this.path}.start`, String(bytes));
      return true;
    } catch (error) {
      this.#log.warn("start of a log not noted", { path: this.path, error: messageOf(error) });
      return false;
    }
  }

  /** When the byte at this offset came, in milliseconds: between the notes around it. */
  timeOf(offset: number): number {
    let low = 0;
    let high = this.#marks.length - 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#marks[middle]?.offset ?? 0) > offset) high = middle;
      else low = middle + 1;
    }
    const after = this.#marks[low];
    if (after === undefined) return this.#clock.now();
    if (after.offset <= offset) return this.#clock.now();
    return after.atMs;
  }

  /** The first byte that came at this time or later. */
  offsetSince(timeMs: number): number {
    let offset = this.start;
    for (const mark of this.#marks) {
      if (mark.atMs >= timeMs) break;
      offset = Math.max(offset, mark.offset);
    }
    return offset;
  }
}

function readStart(path: string): number {
  try {
    return Number(readFileSync(`${path}.start`, "utf8")) || 0;
  } catch {
    return 0;
  }
}
