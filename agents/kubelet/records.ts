/**
 * The durable record of each pod. containerd forgets exit codes at a power cut, so they are kept
 * here; written when a container starts or ends, never in between.
 * https://github.com/containerd/containerd
 */
import { mkdir, open, readdir, readFile, rename, rm } from "node:fs/promises";
import type { PodRecord } from "#agents/kubelet/types.ts";
import { messageOf } from "#base/errors.ts";
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

export class Records {
  readonly root: string;
  readonly #log: Log;
  /** Pods whose record is being written; true: it changed meanwhile. */
  readonly #writing = new Map<string, { again: boolean; done: Promise<void> }>();
  readonly #removed = new Set<string>();

  constructor(dataDir: string, log: Log) {
    this.root = `${dataDir}/pods`;
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

  /** Resolves when this state of the record, or a later one, is on the disk. */
  save(record: PodRecord): Promise<void> {
    const under = this.#writing.get(record.uid);
    if (under !== undefined) {
      under.again = true;
      return under.done;
    }
    const entry = { again: true, done: Promise.resolve() };
    this.#writing.set(record.uid, entry);
    entry.done = this.#write(record, entry).finally(() => this.#writing.delete(record.uid));
    return entry.done;
  }

  async #write(record: PodRecord, entry: { again: boolean }): Promise<void> {
    while (entry.again && !this.#removed.has(record.uid)) {
      entry.again = false;
      try {
        await writeWhole(this.directory(record.uid), "record.json", JSON.stringify(record));
      } catch (error) {
        this.#log.error("record of a pod not written", {
          pod: `${record.namespace}/${record.name}`,
          error: messageOf(error),
        });
        return;
      }
    }
  }

  /** Resolves when nothing is left to write. */
  async idle(): Promise<void> {
    await Promise.all([...this.#writing.values()].map(({ done }) => done));
  }

  /** The pod's whole folder goes: record, logs, files. */
  async remove(uid: string): Promise<void> {
    this.#removed.add(uid);
    await this.#writing.get(uid)?.done;
    await rm(this.directory(uid), { recursive: true, force: true });
    this.#removed.delete(uid);
  }

  async readBootId(): Promise<string | undefined> {
    return readFile(`${this.root}/../boot_id`, "utf8").catch(() => undefined);
  }

  async writeBootId(bootId: string): Promise<void> {
    await writeWhole(`${this.root}/..`, "boot_id", bootId);
  }
}
