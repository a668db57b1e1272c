/**
 * A log file that is begun anew when it is full, with a bounded number of old ones beside it. Lines
 * are written behind the caller's back, in order; what waits is bounded.
 */
import { type FileHandle, open, readdir, rename, stat, unlink } from "node:fs/promises";
import { basename, dirname, extname, join } from "node:path";
import { messageOf } from "#base/errors.ts";
import { limits } from "#base/limits.ts";
import type { Log } from "#base/log.ts";

export interface RotatedOptions {
  readonly path: string;
  readonly bytesMax: number;
  /** Old files that stay; 0: all. */
  readonly filesMax: number;
  /** Old files go after this; 0: never. */
  readonly ageMsMax: number;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  readonly log: Log;
}

export class RotatedFile {
  readonly #options: RotatedOptions;
  #waiting: string[] = [];
  #waitingBytes = 0;
  #lost = 0;
  #running: Promise<void> | undefined;
  #file: FileHandle | undefined;
  #size = 0;

  constructor(options: RotatedOptions) {
    this.#options = options;
  }

  /** Lines that found no room, as the disk was too slow or full. */
  get lost(): number {
    return this.#lost;
  }

  /** One line, without its end. */
  append(line: string): void {
    if (this.#waitingBytes + line.length > limits.auditBacklogBytesMax) {
      this.#drop(1, "too much waits for the disk");
      return;
    }
    this.#waiting.push(line);
    this.#waitingBytes += line.length;
    this.#running ??= this.#run();
  }

  #drop(lines: number, why: string): void {
    if (this.#lost === 0 || this.#lost % 1_000 === 0) {
      this.#options.log.error("lines of the audit log are lost", { why, lines });
    }
    this.#lost += lines;
  }

  async #run(): Promise<void> {
    // What others append in this turn goes with it.
    await Promise.resolve();
    while (this.#waiting.length > 0) {
      const lines = this.#waiting;
      this.#waiting = [];
      this.#waitingBytes = 0;
      try {
        await this.#write(`${lines.join("\n")}\n`);
      } catch (error) {
        this.#drop(lines.length, messageOf(error));
        await this.#end();
      }
    }
    this.#running = undefined;
  }

  async #write(text: string): Promise<void> {
    const bytes = Buffer.from(text);
    const { path, bytesMax } = this.#options;
    if (this.#file !== undefined && this.#size > 0 && this.#size + bytes.length > bytesMax) {
      await this.#rotate();
    }
    if (this.#file === undefined) {
      this.#file = await open(path, "a", 0o600);
      this.#size = (await stat(path)).size;
      if (this.#size > 0 && this.#size + bytes.length > bytesMax) {
        await this.#rotate();
        this.#file = await open(path, "a", 0o600);
      }
    }
    await this.#file.appendFile(bytes);
    this.#size += bytes.length;
  }

  async #rotate(): Promise<void> {
    await this.#end();
    const { path, now } = this.#options;
    const extension = extname(path);
    const stem = join(dirname(path), basename(path, extension));
    const time = new Date(now()).toISOString().replaceAll(":", "-").replace("Z", "");
    let name = `${stem}-${time}${extension}`;
    // Two in one millisecond do not overwrite each other.
    for (let count = 1; await stat(name).catch(() => undefined); count += 1) {
      name = `${stem}-${time}-${count}${extension}`;
    }
    await rename(path, name);
    this.#size = 0;
    await this.#prune(stem, extension);
  }

  async #prune(stem: string, extension: string): Promise<void> {
    const { filesMax, ageMsMax, now } = this.#options;
    const folder = dirname(stem);
    const start = `${basename(stem)}-2`;
    const old = (await readdir(folder))
      .filter((name) => name.startsWith(start) && name.endsWith(extension))
      .sort()
      .reverse();
    for (const [at, name] of old.entries()) {
      const path = join(folder, name);
      const aged = ageMsMax > 0 && now() - (await stat(path)).mtimeMs > ageMsMax;
      if (aged || (filesMax > 0 && at >= filesMax)) await unlink(path);
    }
  }

  async #end(): Promise<void> {
    const file = this.#file;
    this.#file = undefined;
    await file?.close().catch(() => {});
  }

  /** Writes what waits. */
  async close(): Promise<void> {
    await this.#running;
    await this.#end();
  }
}
