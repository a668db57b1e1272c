/** Messages of v5.channel.k8s.io: a channel's number, then the bytes. Shared by exec and attach. */

import type { OwnedFd } from "#agents/runtime/pipes.ts";
import type { Channel } from "#base/channel.ts";
import { type Clock, sleep } from "#base/clock.ts";
import { limits } from "#base/limits.ts";

const STDIN = 0;
const STATUS = 3;
const RESIZE = 4;
const CLOSE = 255;

export interface StdinTarget {
  /** Nothing when input is not wanted. Closed when there is no more. */
  fd: OwnedFd | undefined;
  resize(width: number, height: number): Promise<void>;
  /** No more input. */
  close(): Promise<void>;
  /** The command has ended: what still comes is for nobody. */
  ended: AbortSignal;
  clock: Clock;
}

function message(channel: number, bytes: Uint8Array): Uint8Array {
  const out = new Uint8Array(bytes.length + 1);
  out[0] = channel;
  out.set(bytes, 1);
  return out;
}

/** In pieces that fit a tunnel's frame; resolves when the other side took them. */
export async function sendOutput(channel: Channel, to: 1 | 2, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length; at += limits.execChunkBytesMax) {
    await channel.send(message(to, bytes.subarray(at, at + limits.execChunkBytesMax)));
  }
}

/** The last message of an exec or attach: a Status, with the exit code as kubectl reads it. */
export async function sendStatus(
  channel: Channel,
  result: { exitCode: number } | { failure: string },
): Promise<void> {
  const status =
    "failure" in result
      ? {
          metadata: {},
          status: "Failure",
          message: result.failure,
          reason: "InternalError",
          code: 500,
        }
      : result.exitCode === 0
        ? { metadata: {}, status: "Success" }
        : {
            metadata: {},
            status: "Failure",
            message: `command terminated with non-zero exit code: exit status ${result.exitCode}`,
            reason: "NonZeroExitCode",
            details: { causes: [{ reason: "ExitCode", message: String(result.exitCode) }] },
          };
  await channel.send(message(STATUS, new TextEncoder().encode(JSON.stringify(status))));
}

function size(bytes: Uint8Array): { width: number; height: number } | undefined {
  try {
    const parsed: { Width?: unknown; Height?: unknown } = JSON.parse(
      new TextDecoder().decode(bytes),
    );
    const [width, height] = [Number(parsed.Width), Number(parsed.Height)];
    return width > 0 && height > 0 ? { width, height } : undefined;
  } catch {
    return undefined;
  }
}

/** Waits while the pipe is full. False where nobody is to read the rest. */
async function writeAll(
  fd: OwnedFd,
  bytes: Uint8Array,
  clock: Clock,
  stop: AbortSignal,
): Promise<boolean> {
  let pauseMs: number = limits.stdinPauseMsMin;
  for (let rest = bytes; rest.length > 0; ) {
    const written = stop.aborted ? undefined : fd.write(rest);
    if (written === undefined) return false;
    rest = rest.subarray(written);
    if (written > 0) pauseMs = limits.stdinPauseMsMin;
    else {
      await sleep(clock, pauseMs, stop);
      pauseMs = Math.min(2 * pauseMs, limits.stdinPauseMsMax);
    }
  }
  return true;
}

/** Aborts when the command has ended or the client has left, also while a full pipe is waited for. */
function stopOf(channel: Channel, ended: AbortSignal): AbortSignal {
  const stop = new AbortController();
  if (ended.aborted) stop.abort();
  ended.addEventListener("abort", () => stop.abort(), { once: true });
  void channel.closed.then(() => stop.abort());
  return stop.signal;
}

/**
 * Hands the client's messages on until it ends; rejects when the channel was aborted. What comes
 * when the command has ended is taken and dropped: a client that sends on must hear of the end.
 */
export async function readStdin(channel: Channel, target: StdinTarget): Promise<void> {
  const { fd, clock, ended } = target;
  const stop = stopOf(channel, ended);
  let open = fd !== undefined;
  const close = async () => {
    if (!open) return;
    open = false;
    fd?.close();
    if (!ended.aborted) await target.close();
  };
  for await (const each of channel.messages) {
    const bytes = each.subarray(1);
    if (each[0] === STDIN && fd !== undefined && open) {
      open = await writeAll(fd, bytes, clock, stop);
      if (!open) fd.close();
    } else if (each[0] === RESIZE) {
      const wanted = size(bytes);
      // The command may have ended just now: its exit status is what the client is told.
      if (wanted !== undefined) {
        await target.resize(wanted.width, wanted.height).catch(() => undefined);
      }
    } else if (each[0] === CLOSE && bytes[0] === STDIN) {
      await close();
    }
  }
  await close();
}
