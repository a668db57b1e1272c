/** One forwarded port: bytes between a channel and a socket in the pod's network namespace. */
import { closeSync } from "node:fs";
import type { Socket } from "bun";
import { dialWithin } from "#agents/kubelet/native.ts";
import { type Channel, channelPair, whenLeft } from "#base/channel.ts";
import type { Clock } from "#base/clock.ts";
import { limits } from "#base/limits.ts";
import { type Reading, readingOf } from "#base/reading.ts";

interface State {
  channel: Channel;
  /** Resolves when the socket takes bytes again. */
  drained: PromiseWithResolvers<void> | undefined;
  /** What came and is not sent on yet. */
  sending: Promise<void>;
  sendingBytes: number;
  reading: Reading | undefined;
  closed: boolean;
}

type Forwarded = Socket<State>;

function received(socket: Forwarded, data: Uint8Array): void {
  const { data: state } = socket;
  // The buffer is the socket's own: it is used again for the next bytes.
  const bytes = Uint8Array.from(data);
  state.sendingBytes += bytes.length;
  state.reading ??= readingOf(socket);
  if (state.sendingBytes > limits.tunnelWindowBytes) state.reading.pause();
  state.sending = state.sending
    .then(() => state.channel.send(bytes))
    .then(
      () => sent(socket, bytes.length),
      () => socket.terminate(),
    );
}

function sent(socket: Forwarded, bytes: number): void {
  const { data: state } = socket;
  state.sendingBytes -= bytes;
  if (state.reading?.paused === true && state.sendingBytes === 0 && !state.closed) {
    state.reading.resume();
  }
}

function closed(socket: Forwarded): void {
  const { data: state } = socket;
  state.closed = true;
  state.drained?.resolve();
  void state.sending.then(() => state.channel.end());
}

/** From the client to the socket, as fast as it takes. */
async function pump(socket: Forwarded): Promise<void> {
  const { data: state } = socket;
  try {
    for await (const message of state.channel.messages) {
      let rest = message;
      while (rest.length > 0 && !state.closed) {
        const written = socket.write(rest);
        if (written < 0) return;
        rest = rest.subarray(written);
        if (rest.length === 0) break;
        state.drained = Promise.withResolvers<void>();
        await state.drained.promise;
      }
    }
    socket.flush();
    socket.shutdown();
  } catch {
    // The client went away: so does the connection.
    socket.terminate();
  }
}

export interface ForwardOptions {
  /**
   * A namespace that is held open, which the connection closes, and addresses in it to try. Or an
   * address of the node.
   */
  to: { netns: number; hosts: readonly string[] } | { nodeAddress: string };
  port: number;
  /** Speak TLS to the port; whoever it is, as the proxy of the API server trusts any pod. */
  secure: boolean;
  clock: Clock;
}

/** Bun takes these in the place of a path; its types know of one way only. */
type Where = { unix: string };

async function placeOf({ to, port, clock }: ForwardOptions): Promise<Where> {
  if ("nodeAddress" in to) return { hostname: to.nodeAddress, port } as unknown as Where;
  try {
    const fd = await dialWithin(to.netns, to.hosts, port, clock, limits.dialMsMax);
    if (fd !== undefined) return { fd } as unknown as Where;
  } finally {
    closeSync(to.netns);
  }
  throw new Error(`failed to connect to localhost:${port} inside namespace: connection refused`);
}

/** Rejects with a message for the client where nobody listens. */
export async function forwardPort(options: ForwardOptions): Promise<Channel> {
  const { secure, clock } = options;
  const where = await placeOf(options);
  const [own, other] = channelPair();
  const state: State = {
    channel: own,
    drained: undefined,
    sending: Promise.resolve(),
    sendingBytes: 0,
    reading: undefined,
    closed: false,
  };
  const ready = Promise.withResolvers<void>();
  const socket = await Bun.connect<State>({
    ...where,
    ...(secure && { tls: { rejectUnauthorized: false } }),
    data: state,
    socket: {
      data: received,
      drain: ({ data }) => data.drained?.resolve(),
      end: closed,
      close: closed,
      error: closed,
      ...(secure && { handshake: () => ready.resolve() }),
    },
  });
  whenLeft(own, clock, () => {
    if (!state.closed) socket.terminate();
  });
  if (secure) await Promise.race([ready.promise, own.closed]);
  void pump(socket);
  return other;
}
