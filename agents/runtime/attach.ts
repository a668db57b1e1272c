/**
 * Attaching to a container: its output went to its log, so that is followed; its stdin is a named
 * pipe (`start.ts`).
 */
import { constants } from "node:fs";
import { type FileHandle, rm } from "node:fs/promises";
import type { ExecParts } from "#agents/runtime/exec.ts";
import { OwnedFd } from "#agents/runtime/pipes.ts";
import { labelKeys, RuntimeError } from "#agents/runtime/runtime.ts";
import { stdinPipe } from "#agents/runtime/start.ts";
import { readStdin, sendOutput, sendStatus } from "#agents/runtime/streams.ts";
import { openRegular } from "#base/beneath.ts";
import { type Channel, channelPair } from "#base/channel.ts";
import { sleep } from "#base/clock.ts";
import { messageOf } from "#base/errors.ts";
import { limits } from "#base/limits.ts";

type AttachParts = Omit<ExecParts, "run" | "starts">;

/** A container's log, and where it ended when the client came. */
interface LogPlace {
  readonly log: FileHandle;
  readonly end: number;
}

export class Attacher {
  readonly #parts: AttachParts;

  constructor(parts: AttachParts) {
    this.#parts = parts;
  }

  /** Removes what belongs to a container that is gone. */
  async forget(id: string): Promise<void> {
    await rm(stdinPipe(this.#parts.runDir, id), { force: true });
  }

  async attach(id: string, options: { tty: boolean; stdin: boolean }): Promise<Channel> {
    const record = await this.#parts.containerd.container(id);
    const path = record?.labels[labelKeys.logPath];
    if (record === undefined || path === undefined) {
      throw new RuntimeError("AttachFailed", `container ${id} is not there`);
    }
    const log = await openRegular(path);
    // Before any input is handed on: the answer to it may be there at once.
    const end = (await log.stat()).size;
    const once = record.labels[labelKeys.stdinOnce] === "true";
    const [mine, theirs] = channelPair();
    void this.#serve(id, { log, end }, { ...options, once }, mine);
    return theirs;
  }

  #openStdin(id: string): OwnedFd | undefined {
    try {
      return new OwnedFd(stdinPipe(this.#parts.runDir, id), constants.O_WRONLY);
    } catch (error) {
      // The container has no stdin, or has closed it.
      this.#parts.log.debug("no stdin to attach to", { id, error: messageOf(error) });
      return undefined;
    }
  }

  async #serve(
    id: string,
    from: LogPlace,
    options: { stdin: boolean; once: boolean },
    channel: Channel,
  ): Promise<void> {
    const { containerd, clock } = this.#parts;
    const over = new AbortController();
    const fd = options.stdin ? this.#openStdin(id) : undefined;
    const gone = Promise.withResolvers<never>();
    readStdin(channel, {
      fd,
      resize: (width, height) => containerd.resize(id, "", width, height),
      close: async () => {
        if (options.once) await containerd.closeStdin(id, "");
      },
      ended: over.signal,
      clock,
    }).catch(gone.reject);
    const exited = containerd.waitProcess(id, "", over.signal);
    const ended = exited.then(
      () => true,
      () => true,
    );
    try {
      await Promise.race([this.#follow(from, ended, channel), gone.promise]);
      await sendStatus(channel, { exitCode: 0 });
      channel.end();
    } catch (error) {
      await sendStatus(channel, { failure: messageOf(error) }).catch(() => undefined);
      channel.end();
    } finally {
      over.abort();
      await from.log.close();
      fd?.close();
    }
  }

  /** Until the container has ended and everything was sent. */
  async #follow({ log, end }: LogPlace, ended: Promise<boolean>, channel: Channel): Promise<void> {
    let at = end;
    const buffer = new Uint8Array(limits.execChunkBytesMax);
    for (let last = false; ; ) {
      const { bytesRead } = await log.read(buffer, 0, buffer.length, at);
      if (bytesRead > 0) {
        at += bytesRead;
        await sendOutput(channel, 1, buffer.subarray(0, bytesRead));
        continue;
      }
      if (last) return;
      // A rotation cuts the file.
      if ((await log.stat()).size < at) at = 0;
      const pause = sleep(this.#parts.clock, limits.logFollowMs).then(() => false);
      last = await Promise.race([ended, pause]);
      if (last) await sleep(this.#parts.clock, limits.attachSettleMs);
    }
  }
}
