/** A line of JSON for each request, written together once a second, in a file of bounded size. */
import { appendFile, rename, stat } from "node:fs/promises";
import type { Served } from "#agents/ingress/serving.ts";
import type { Cancel, Clock } from "#base/clock.ts";
import { messageOf } from "#base/errors.ts";
import { limits } from "#base/limits.ts";
import type { Log } from "#base/log.ts";

export interface AccessLogOptions {
  path: string;
  clock: Clock;
  log: Log;
}

export class AccessLog {
  readonly #options: AccessLogOptions;
  #lines: string[] = [];
  #dropped = 0;
  #cancel: Cancel | undefined;
  #writing: Promise<void> = Promise.resolve();
  #failed = false;

  constructor(options: AccessLogOptions) {
    this.#options = options;
  }

  add(served: Served): void {
    if (this.#lines.length >= limits.ingressLogWaitingMax) {
      this.#dropped++;
      return;
    }
    const { clock } = this.#options;
    const { isSecure, durationMs, ...rest } = served;
    const line = {
      time: new Date(clock.now()).toISOString(),
      ...rest,
      scheme: isSecure ? "https" : "http",
      durationMs: Math.round(durationMs * 10) / 10,
    };
    this.#lines.push(`${JSON.stringify(line)}\n`);
    this.#cancel ??= clock.after(limits.ingressLogMs, () => void this.flush());
  }

  /** Resolves once everything up to now is in the file. */
  flush(): Promise<void> {
    this.#cancel?.();
    this.#cancel = undefined;
    const text = this.#lines.join("");
    this.#lines = [];
    this.#writing = this.#writing.then(() => this.#write(text));
    return this.#writing;
  }

  async #write(text: string): Promise<void> {
    const { path, log } = this.#options;
    if (text === "") return;
    try {
      const size = (await stat(path).catch(() => undefined))?.size ?? 0;
      if (size > limits.ingressLogBytesMax) await rename(path, `${path}.1`);
      await appendFile(path, text, { mode: 0o640 });
      if (this.#failed || this.#dropped > 0)
        log.info("the access log goes on", { lost: this.#dropped });
      this.#failed = false;
      this.#dropped = 0;
    } catch (error) {
      // Requests are served all the same.
      if (!this.#failed) log.warn("cannot write the access log", { path, error: messageOf(error) });
      this.#failed = true;
      this.#dropped += text.split("\n").length - 1;
    }
  }
}
