/** The logs of all containers of the node: one `LogFile` for each run whose file is kept. */
import { rmSync } from "node:fs";
import { LogFile } from "#agents/kubelet/logfile.ts";
import type { Clock } from "#base/clock.ts";
import type { Log } from "#base/log.ts";

export class Logs {
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #files = new Map<string, LogFile>();

  constructor(clock: Clock, log: Log) {
    this.#clock = clock;
    this.#log = log;
  }

  /** The log of a run; a running one's is followed from now on. */
  of(path: string, startedAtMs: number, running: boolean): LogFile {
    let file = this.#files.get(path);
    if (file === undefined) {
      file = new LogFile(path, startedAtMs, { clock: this.#clock, log: this.#log });
      this.#files.set(path, file);
    }
    if (running) file.follow();
    else if (!file.ended) file.end();
    return file;
  }

  /** The run is over; what was written stays readable. */
  end(path: string): void {
    this.#files.get(path)?.end();
  }

  /** The file is removed: only the last two runs of a container keep theirs. */
  remove(path: string): void {
    this.#files.get(path)?.end();
    this.#files.delete(path);
    rmSync(path, { force: true });
    rmSync(`${path}.start`, { force: true });
  }

  /** The pod is forgotten, its folder goes. */
  forget(directory: string): void {
    for (const [path, file] of this.#files) {
      if (!path.startsWith(`${directory}/`)) continue;
      file.end();
      this.#files.delete(path);
    }
  }

  stop(): void {
    for (const file of this.#files.values()) file.close();
    this.#files.clear();
  }
}
