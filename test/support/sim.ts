/** A disk that holds its breath, refuses, or loses its power, as a test says. */
import { copyFileSync, existsSync, mkdtempSync } from "node:fs";
import { join } from "node:path";
import { type Disk, openDisk, type Row } from "#store/disk.ts";
import { StorageError } from "#store/store.ts";

/** What the disk does with the calls that come next. */
export interface Faults {
  /** Calls that are refused from now on. */
  commits: number;
  syncs: number;
  mends: number;
  copies: number;
  ends: number;
}

/** Syncs of the log, of the database file after a copy, and at the log's end. */
export type Gate = "sync" | "copy" | "end";

type Call = "commit" | "sync" | "mend" | "copy" | "end" | "rows";

/** Copies of a store's two files: the database and its log. */
class Images {
  readonly #dir: string;
  /** The files as they were when each was last synced. */
  readonly #synced = { "": "", "-wal": "" };
  path = "";

  constructor(dir: string) {
    this.#dir = dir;
  }

  didSync(...files: Array<"" | "-wal">): void {
    for (const file of files) {
      this.#synced[file] = this.#folder();
      copy(this.path + file, this.#synced[file]);
    }
  }

  synced(): string {
    const to = this.#folder();
    for (const file of ["", "-wal"] as const) copy(this.#synced[file], to + file);
    return to;
  }

  written(): string {
    const to = this.#folder();
    for (const file of ["", "-wal"]) copy(this.path + file, to + file);
    return to;
  }

  #folder(): string {
    return join(mkdtempSync(join(this.#dir, "image-")), "state.db");
  }
}

/** A store that was closed in peace has no log. */
function copy(from: string, to: string): void {
  if (existsSync(from)) copyFileSync(from, to);
}

export class SimDisk {
  readonly faults: Faults = { commits: 0, syncs: 0, mends: 0, copies: 0, ends: 0 };
  /** Calls so far, and rows that were committed. */
  readonly calls: Record<Call, number> = {
    commit: 0,
    sync: 0,
    mend: 0,
    copy: 0,
    end: 0,
    rows: 0,
  };
  readonly #images: Images;
  readonly #gates: Partial<Record<Gate, Promise<void>>> = {};
  #damaged = false;

  /** `dir` is for copies; whoever made it removes it. */
  constructor(dir: string) {
    this.#images = new Images(dir);
  }

  readonly open = (path: string): Disk => {
    this.#images.path = path;
    const disk = openDisk(path);
    this.#images.didSync("", "-wal");
    return this.#wrap(disk);
  };

  /** These wait from now on, until the returned function is called. */
  hold(what: Gate = "sync"): () => void {
    const held = Promise.withResolvers<void>();
    this.#gates[what] = held.promise;
    return held.resolve;
  }

  /** A copy of what is on the disk after a power cut now: what was synced. A file's path. */
  powerCut(): string {
    return this.#images.synced();
  }

  /** A copy of what is there after a `kill -9` now: what was written. */
  kill(): string {
    return this.#images.written();
  }

  #refuse(kind: keyof Faults, message: string): void {
    if (this.faults[kind] === 0) return;
    this.faults[kind]--;
    throw new StorageError(message);
  }

  #damage(kind: keyof Faults, message: string): void {
    if (this.faults[kind] > 0) this.#damaged = true;
    this.#refuse(kind, message);
  }

  #commit(disk: Disk, rows: Iterable<Row>, ceiling: number): void {
    this.calls.commit++;
    this.#refuse("commits", "no space left on the simulated disk");
    const all = [...rows];
    this.calls.rows += all.length;
    disk.commit(all, ceiling);
  }

  async #sync(disk: Disk): Promise<void> {
    this.calls.sync++;
    await this.#gates.sync;
    this.#damage("syncs", "the simulated disk lost a sync");
    await disk.sync();
    this.#images.didSync("-wal");
  }

  #mend(disk: Disk): void {
    this.calls.mend++;
    this.#refuse("mends", "the simulated disk cannot be mended yet");
    disk.mend();
    this.#damaged = false;
    this.#images.didSync("", "-wal");
  }

  async #copyLog(disk: Disk): Promise<void> {
    this.calls.copy++;
    await disk.copyLog();
    await this.#gates.copy;
    this.#damage("copies", "the simulated disk lost a copy");
    this.#images.didSync("");
  }

  async #endLog(disk: Disk): Promise<void> {
    this.calls.end++;
    await disk.endLog();
    await this.#gates.end;
    this.#damage("ends", "the simulated disk lost the end of a log");
    this.#images.didSync("");
  }

  #wrap(disk: Disk): Disk {
    const isDamaged = () => this.#damaged;
    return {
      get ceiling() {
        return disk.ceiling;
      },
      get damaged() {
        return isDamaged() || disk.damaged;
      },
      load: () => disk.load(),
      wantsTidy: () => disk.wantsTidy(),
      commit: (rows, ceiling) => this.#commit(disk, rows, ceiling),
      sync: () => this.#sync(disk),
      mend: () => this.#mend(disk),
      scrub: () => disk.scrub(),
      copyLog: () => this.#copyLog(disk),
      endLog: () => this.#endLog(disk),
      close: () => disk.close(),
    };
  }
}

export function simDisk(dir: string): SimDisk {
  return new SimDisk(dir);
}
