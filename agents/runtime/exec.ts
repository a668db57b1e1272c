/**
 * Extra processes in running containers, through containerd's API and named pipes: no nerdctl
 * process (26 MB and 90 ms each), an id that is known, so that the process can be killed, and exit
 * codes that come from containerd. The channel speaks v5.channel.k8s.io.
 */
import { existsSync } from "node:fs";
import { mkdir, readdir, rm } from "node:fs/promises";
import type { Containerd, ProcessIo } from "#agents/runtime/containerd.ts";
import { execProcess, groupOf, type OciSpec } from "#agents/runtime/ocispec.ts";
import {
  makePipes,
  type OwnedFd,
  onceRead,
  openForReading,
  openForWriting,
} from "#agents/runtime/pipes.ts";
import { type ExecOptions, RuntimeError } from "#agents/runtime/runtime.ts";
import { readStdin, type StdinTarget, sendOutput, sendStatus } from "#agents/runtime/streams.ts";
import type { Turns } from "#agents/runtime/turns.ts";
import { type Channel, channelPair } from "#base/channel.ts";
import { type Clock, sleep } from "#base/clock.ts";
import { messageOf, TimeoutError } from "#base/errors.ts";
import { GrpcError, grpcCodes } from "#base/grpc.ts";
import { limits } from "#base/limits.ts";
import type { Log } from "#base/log.ts";
import type { Run } from "#base/process.ts";

const SIGKILL = 9;

export interface ExecParts {
  containerd: Containerd;
  run: Run;
  clock: Clock;
  log: Log;
  /** For named pipes; not on a real disk. */
  runDir: string;
  /**
   * One start a shim at a time: containerd 1.6's shim holds a lock while runc runs, and 50 starts
   * at once took 17 seconds (51 with nerdctl) where 50 in a row take two.
   */
  starts: Turns;
}

interface Started {
  execId: string;
  dir: string;
  stdin: OwnedFd | undefined;
  outputs: OwnedFd[];
}

export class Execs {
  readonly #parts: ExecParts;
  #count = 0;
  #swept: Promise<void> | undefined;

  constructor(parts: ExecParts) {
    this.#parts = parts;
  }

  /** Pipes of agents that died: their names tell the process. */
  async #sweep(): Promise<void> {
    const dir = `${this.#parts.runDir}/exec`;
    for (const name of await readdir(dir).catch(() => [])) {
      const pid = /^exec-(\d+)-/.exec(name)?.[1] ?? "self";
      if (!existsSync(`/proc/${pid}`)) await rm(`${dir}/${name}`, { recursive: true, force: true });
    }
  }

  /** Pipes first: who opens one for reading must be there before the shim opens it for writing. */
  async #pipes(options: {
    tty: boolean;
    stdin: boolean;
    merge: boolean;
  }): Promise<Started & { io: ProcessIo }> {
    this.#swept ??= this.#sweep();
    await this.#swept;
    const execId = `exec-${process.pid}-${this.#parts.clock.now()}-${this.#count++}`;
    const dir = `${this.#parts.runDir}/exec/${execId}`;
    await mkdir(dir, { recursive: true, mode: 0o700 });
    const single = options.tty || options.merge;
    const names = [...(options.stdin ? ["in"] : []), "out", ...(single ? [] : ["err"])];
    await makePipes(
      this.#parts.run,
      names.map((name) => `${dir}/${name}`),
    );
    const outputs = [openForReading(`${dir}/out`)];
    if (!single) outputs.push(openForReading(`${dir}/err`));
    const stdin = options.stdin ? openForWriting(`${dir}/in`) : undefined;
    const io = {
      stdin: options.stdin ? `${dir}/in` : "",
      stdout: `${dir}/out`,
      stderr: options.tty ? "" : `${dir}/${options.merge ? "out" : "err"}`,
      terminal: options.tty,
    };
    return { execId, dir, stdin, outputs, io };
  }

  async #start(
    containerId: string,
    spec: OciSpec,
    options: ExecOptions & { merge: boolean },
  ): Promise<Started> {
    const pipes = await this.#pipes(options);
    try {
      const process = execProcess(spec, options.command, options.tty);
      await this.#parts.containerd.addProcess(containerId, pipes.execId, pipes.io, process);
      await this.#parts.starts.with(groupOf(spec, containerId), () =>
        this.#parts.containerd.startProcess(containerId, pipes.execId),
      );
      if (pipes.stdin !== undefined) {
        pipes.stdin = await onceRead(pipes.io.stdin, pipes.stdin, this.#parts.clock);
      }
      return pipes;
    } catch (error) {
      await this.#finish(containerId, pipes);
      const gone = error instanceof GrpcError && error.code === grpcCodes.notFound;
      const text = gone ? `container ${containerId} is not running` : messageOf(error);
      throw new RuntimeError("ExecFailed", text, error);
    }
  }

  async #finish(containerId: string, started: Started): Promise<void> {
    const { containerd, log } = this.#parts;
    const { execId, dir } = started;
    try {
      await containerd.deleteProcess(containerId, execId);
    } catch (error) {
      log.debug("exec process not deleted", { execId, error: messageOf(error) });
    }
    for (const fd of started.outputs) fd.close();
    started.stdin?.close();
    await rm(dir, { recursive: true, force: true }).catch((error: unknown) => {
      log.warn("pipes not removed", { dir, error: messageOf(error) });
    });
  }

  async #spec(containerId: string): Promise<OciSpec> {
    const record = await this.#parts.containerd.container(containerId);
    if (record === undefined) {
      throw new RuntimeError("ExecFailed", `container ${containerId} is not there`);
    }
    return record.spec();
  }

  async execSync(
    containerId: string,
    command: readonly string[],
    timeoutMs: number,
  ): Promise<{ exitCode: number; output: string }> {
    const { containerd, clock } = this.#parts;
    const spec = await this.#spec(containerId);
    const options = { command, tty: false, stdin: false, merge: true };
    const started = await this.#start(containerId, spec, options);
    const late = new AbortController();
    const cancel = clock.after(timeoutMs, () => late.abort());
    try {
      const kept: Uint8Array[] = [];
      let size = 0;
      const keep = async (chunk: Uint8Array) => {
        const rest = limits.execOutputBytesMax - size;
        if (rest > 0) kept.push(chunk.slice(0, rest));
        size += Math.min(chunk.length, Math.max(0, rest));
      };
      const exited = containerd.waitProcess(containerId, started.execId, late.signal);
      const output = this.#drain(started.outputs, exited, keep);
      const exitCode = await exited;
      await output;
      return { exitCode, output: Buffer.concat(kept).toString("utf8") };
    } catch (error) {
      if (!late.signal.aborted) throw error;
      await containerd.kill(containerId, started.execId, SIGKILL);
      throw new TimeoutError(`command took more than ${timeoutMs} ms`);
    } finally {
      cancel();
      // Not waited for: the shim waits for the output of processes left behind, containerd 2's for
      // ten seconds.
      void this.#finish(containerId, started);
    }
  }

  /**
   * Reads pipes to their end. A process left behind may hold one open for ever: once the command
   * has exited, silence of `execDrainMsMax` ends the reading.
   */
  async #drain(
    outputs: readonly OwnedFd[],
    exited: Promise<number>,
    take: (chunk: Uint8Array, index: number) => Promise<void>,
  ): Promise<void> {
    const over = exited.then(
      () => true,
      () => true,
    );
    await Promise.all(
      outputs.map(async (fd, index) => {
        const reader = Bun.file(fd.number).stream().getReader();
        const quiet = () =>
          over.then(() => sleep(this.#parts.clock, limits.execDrainMsMax)).then(() => undefined);
        try {
          for (;;) {
            const read = await Promise.race([reader.read(), quiet()]);
            if (read === undefined || read.done) break;
            await take(read.value, index);
          }
        } finally {
          await reader.cancel().catch(() => undefined);
        }
      }),
    );
  }

  async exec(containerId: string, options: ExecOptions): Promise<Channel> {
    const spec = await this.#spec(containerId);
    const [mine, theirs] = channelPair();
    void this.#serve(containerId, spec, options, mine);
    return theirs;
  }

  async #serve(
    containerId: string,
    spec: OciSpec,
    options: ExecOptions,
    channel: Channel,
  ): Promise<void> {
    let started: Started | undefined;
    try {
      started = await this.#start(containerId, spec, { ...options, merge: false });
      const exitCode = await this.#bridge(containerId, started, channel);
      await sendStatus(channel, { exitCode });
      channel.end();
    } catch (error) {
      // Either the command could not be started, or the client is gone and this goes nowhere.
      await sendStatus(channel, { failure: messageOf(error) }).catch(() => undefined);
      channel.end();
      if (started !== undefined) await this.#killQuietly(containerId, started.execId);
    } finally {
      if (started !== undefined) await this.#finish(containerId, started);
    }
  }

  async #bridge(containerId: string, started: Started, channel: Channel): Promise<number> {
    const { containerd, clock } = this.#parts;
    const { execId } = started;
    const gone = Promise.withResolvers<never>();
    const stop = new AbortController();
    const target: StdinTarget = {
      fd: started.stdin,
      resize: (width, height) => containerd.resize(containerId, execId, width, height),
      close: () => containerd.closeStdin(containerId, execId),
      ended: stop.signal,
      clock,
    };
    readStdin(channel, target).catch(gone.reject);
    const exited = containerd.waitProcess(containerId, execId, stop.signal);
    const output = this.#drain(started.outputs, exited, (chunk, index) =>
      sendOutput(channel, index === 0 ? 1 : 2, chunk),
    );
    try {
      const both = Promise.all([exited, output]).then(([exitCode]) => exitCode);
      return await Promise.race([both, gone.promise]);
    } finally {
      stop.abort();
    }
  }

  async #killQuietly(containerId: string, execId: string): Promise<void> {
    try {
      await this.#parts.containerd.kill(containerId, execId, SIGKILL);
    } catch (error) {
      this.#parts.log.debug("exec process not killed", { execId, error: messageOf(error) });
    }
  }
}
