/**
 * The durable record of each pod. containerd forgets exit codes at a power cut, so they are kept
 * here; written when a container starts or ends, never in between.
 * https://github.com/containerd/containerd
 */
import { mkdir, open, readdir, readFile, rename, rm } from "node:fs/promises";
import type { PodRecord } from "#agents/kubelet/types.ts";
import type { Cancel, Clock } from "#base/clock.ts";
import { messageOf } from "#base/errors.ts";
import { limits } from "#base/limits.ts";
import type { Log } from "#base/log.ts";

async function writeWhole(directory: string, name: string, text: string): Promise<void> {
  await mkdir(directory, { recursive: true });
  const path = `${directory}/${name}`;
  const file = await open(`${path}.new`, "w", 0o600);
  try {
    await file.writeFile(text);
    await file.datasync();
  } finally {
    await file.close();
  }
  await rename(`${path}.new`, path);
}

/** A file as a whole; what it holds is asked for when it is written. */
interface Kept {
  directory: string;
  name: string;
  text: () => string;
}

export class Records {
  readonly root: string;
  readonly #clock: Clock;
  readonly #log: Log;
  /** Files that are being written, by folder; again: what they hold changed meanwhile. */
  readonly #writing = new Map<string, { again: boolean; done: Promise<void> }>();
  readonly #removed = new Set<string>();
  /** What the disk had no room for, by folder; written once it has. */
  readonly #late = new Map<string, Kept>();
  #retry: Cancel | undefined;

  constructor(dataDir: string, clock: Clock, log: Log) {
    this.root = `${dataDir}/pods`;
    this.#clock = clock;
    this.#log = log;
  }

  directory(uid: string): string {
    return `${this.root}/${uid}`;
  }

  /** All records that can be read; a broken one is told of and left out. */
  async load(): Promise<PodRecord[]> {
    await mkdir(this.root, { recursive: true });
    const records: PodRecord[] = [];
    for (const uid of await readdir(this.root)) {
      const path = `${this.directory(uid)}/record.json`;
      try {
        records.push(JSON.parse(await readFile(path, "utf8")) as PodRecord);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === "ENOENT") continue;
        this.#log.warn("unreadable record of a pod", { path, error: messageOf(error) });
      }
    }
    return records;
  }

  /** Folders of pods, with a record or without. */
  async uids(): Promise<string[]> {
    return readdir(this.root);
  }

  /**
   * Resolves when this state of the record, or a later one, is on the disk; or when the disk took
   * none, and then it is tried again until it does.
   */
  save(record: PodRecord): Promise<void> {
    const directory = this.directory(record.uid);
    return this.#keep({ directory, name: "record.json", text: () => JSON.stringify(record) });
  }

  #keep(kept: Kept): Promise<void> {
    const { directory } = kept;
    const under = this.#writing.get(directory);
    if (under !== undefined) {
      under.again = true;
      return under.done;
    }
    const entry = { again: true, done: Promise.resolve() };
    this.#writing.set(directory, entry);
    entry.done = this.#write(kept, entry);
    return entry.done;
  }

  async #write(kept: Kept, entry: { again: boolean }): Promise<void> {
    const { directory, name, text } = kept;
    while (entry.again && !this.#removed.has(directory)) {
      entry.again = false;
      try {
        await writeWhole(directory, name, text());
        this.#late.delete(directory);
      } catch (error) {
        this.#writeLater(kept, error);
        break;
      }
    }
    // In the turn in which the last look was taken: a change after it must begin anew.
    this.#writing.delete(directory);
  }

  /** Told once, however often it fails. */
  #writeLater(kept: Kept, error: unknown): void {
    const { directory, name } = kept;
    if (!this.#late.has(directory)) {
      const path = `${directory}/${name}`;
      this.#log.error("not written, tried again", { path, error: messageOf(error) });
    }
    this.#late.set(directory, kept);
    this.#retry ??= this.#clock.after(limits.recordRetryMs, () => {
      this.#retry = undefined;
      for (const each of [...this.#late.values()]) void this.#keep(each);
    });
  }

  /** What the disk has no room for is tried once more. Resolves when nothing follows. */
  async close(): Promise<void> {
    for (const each of this.#late.values()) void this.#keep(each);
    await Promise.all([...this.#writing.values()].map(({ done }) => done));
    this.#retry?.();
  }

  /** The pod's whole folder goes: record, logs, files. */
  async remove(uid: string): Promise<void> {
    const directory = this.directory(uid);
    this.#removed.add(directory);
    await this.#writing.get(directory)?.done;
    this.#late.delete(directory);
    await rm(directory, { recursive: true, force: true });
    this.#removed.delete(directory);
  }

  async readBootId(): Promise<string | undefined> {
    return readFile(`${this.root}/../boot_id`, "utf8").catch(() => undefined);
  }

  /** As with `save`, a full disk is no error. */
  async writeBootId(bootId: string): Promise<void> {
    if ((await this.readBootId()) === bootId) return;
    await this.#keep({ directory: `${this.root}/..`, name: "boot_id", text: () => bootId });
  }
}
