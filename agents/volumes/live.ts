/**
 * One volume of files that follow their objects: rendered at first and again after every change.
 */
import { type PayloadOwner, writePayload } from "#agents/volumes/payload.ts";
import { type RenderSource, referencedObjects, render } from "#agents/volumes/render.ts";
import type { VolumeRequest } from "#agents/volumes/volumes.ts";
import type { Cancel, Clock } from "#base/clock.ts";
import { messageOf } from "#base/errors.ts";
import { limits } from "#base/limits.ts";
import type { Log } from "#base/log.ts";
import type { Volume } from "#resources/types.gen.ts";

export interface LiveOptions {
  source: RenderSource;
  clock: Clock;
  log: Log;
  directory: string;
}

/** Go-like time of upstream's folders, and a counter for two in one millisecond. */
let counter = 0;

export class LiveVolume {
  readonly #options: LiveOptions;
  readonly #volume: Volume;
  #request: VolumeRequest;
  #timer: Cancel | undefined;
  #renewal: Cancel | undefined;
  #writing: Promise<void> | undefined;
  #again = false;
  #closed = false;
  #failures = 0;
  readonly #ends: Array<() => void> = [];

  constructor(volume: Volume, request: VolumeRequest, options: LiveOptions) {
    this.#volume = volume;
    this.#request = request;
    this.#options = options;
  }

  /** Throws an Error where something that is not optional is missing. */
  async start(): Promise<void> {
    await this.#write();
    if (this.#closed) return;
    const { objects } = this.#options.source;
    const namespace = this.#request.pod.metadata.namespace ?? "";
    for (const { kind, name } of referencedObjects(this.#volume)) {
      this.#ends.push(
        objects.watch(kind, namespace, name, () => this.#soon(limits.volumeUpdateMs)),
      );
    }
  }

  refresh(request: VolumeRequest): void {
    this.#request = request;
    if (this.#volume.downwardAPI || this.#volume.projected) this.#soon(0);
  }

  close(): void {
    this.#closed = true;
    this.#timer?.();
    this.#renewal?.();
    for (const end of this.#ends.splice(0)) end();
  }

  #soon(delayMs: number): void {
    if (this.#closed) return;
    this.#timer ??= this.#options.clock.after(delayMs, () => {
      this.#timer = undefined;
      void this.#update();
    });
  }

  async #update(): Promise<void> {
    if (this.#writing !== undefined) {
      this.#again = true;
      return;
    }
    this.#writing = this.#write().then(
      () => {
        this.#failures = 0;
      },
      (error: unknown) => {
        // What is mounted stays as it is, as upstream; the next change or try mends it.
        this.#options.log.debug("volume not updated", {
          volume: this.#volume.name,
          error: messageOf(error),
        });
        this.#failures++;
        this.#soon(Math.min(limits.volumeRetryMsMax, 1_000 * 2 ** this.#failures));
      },
    );
    await this.#writing;
    this.#writing = undefined;
    if (!this.#again) return;
    this.#again = false;
    void this.#update();
  }

  async #write(): Promise<void> {
    const { source, clock, directory } = this.#options;
    const rendered = await render(source, this.#request, this.#volume);
    if (rendered === undefined || this.#closed) return;
    const time = new Date(clock.now()).toISOString().replace(/[-:T]/g, "_").slice(0, 19);
    const owner: PayloadOwner = {
      group: this.#request.pod.spec?.securityContext?.fsGroup,
      stamp: `${time}.${++counter}`,
    };
    writePayload(directory, rendered.files, owner);
    this.#renewal?.();
    if (rendered.renewAtMs === undefined) return;
    const delayMs = Math.max(limits.volumeUpdateMs, rendered.renewAtMs - clock.now());
    this.#renewal = clock.after(delayMs, () => this.#soon(0));
  }
}
