/**
 * A duplex of messages with back-pressure: how exec, attach and port-forward reach a node, in one
 * process or through the tunnel.
 */
import { type Cancel, type Clock, realClock } from "#base/clock.ts";
import { limits } from "#base/limits.ts";

export interface Channel {
  /**
   * Resolves when the message was taken; waits while the other side is slow. Rejects once closed.
   */
  send(message: Uint8Array): Promise<void>;
  /** No more messages from this side; the other side's `messages` end. */
  end(): void;
  /** Messages of the other side, in order; ends when it ended, throws when it was aborted. */
  readonly messages: AsyncIterable<Uint8Array>;
  /** Ends both directions at once. Idempotent. */
  abort(reason: string): void;
  /** Resolves when both directions are over: to the reason where it was aborted. */
  readonly closed: Promise<string | undefined>;
}

/** Messages queued before `send` waits. */
const QUEUE_MAX = 16;

class Pipe {
  #queue: Uint8Array[] = [];
  #ended = false;
  #reason: string | undefined;
  #wake: Array<() => void> = [];
  readonly over = Promise.withResolvers<string | undefined>();

  #signal(): void {
    for (const wake of this.#wake.splice(0)) wake();
  }

  #changed(): Promise<void> {
    return new Promise((resolve) => this.#wake.push(resolve));
  }

  async push(message: Uint8Array): Promise<void> {
    while (this.#queue.length >= QUEUE_MAX && this.#reason === undefined) await this.#changed();
    if (this.#ended || this.#reason !== undefined) throw new Error(this.#reason ?? "channel ended");
    this.#queue.push(message);
    this.#signal();
  }

  end(): void {
    this.#ended = true;
    if (this.#queue.length === 0) this.over.resolve(undefined);
    this.#signal();
  }

  abort(reason: string): void {
    this.#reason ??= reason;
    this.over.resolve(reason);
    this.#signal();
  }

  async *read(): AsyncGenerator<Uint8Array> {
    for (;;) {
      const message = this.#queue.shift();
      if (message !== undefined) {
        this.#signal();
        yield message;
      } else if (this.#reason !== undefined) {
        throw new Error(this.#reason);
      } else if (this.#ended) {
        this.over.resolve(undefined);
        return;
      } else {
        await this.#changed();
      }
    }
  }
}

function side(out: Pipe, into: Pipe): Channel {
  return {
    send: (message) => out.push(message),
    end: () => out.end(),
    messages: { [Symbol.asyncIterator]: () => into.read() },
    abort: (reason) => {
      out.abort(reason);
      into.abort(reason);
    },
    closed: Promise.all([out.over.promise, into.over.promise]).then(([one, two]) => one ?? two),
  };
}

/** Two ends of one channel in this process. */
export function channelPair(): [Channel, Channel] {
  const there = new Pipe();
  const back = new Pipe();
  return [side(there, back), side(back, there)];
}

/** What is left to whoever takes the messages of a client that went away. */
export interface Grace {
  /** A message was taken: the next one has as long. */
  renew(): void;
  stop(): void;
}

/**
 * A side that takes nothing does not hide that the other one has left: calls `giveUp`
 * `leftMessageMsMax` after `from` was aborted, or was renewed since.
 */
export function whenLeft(from: Channel, clock: Clock, giveUp: () => void): Grace {
  let left = false;
  let stopped = false;
  let cancel: Cancel = () => undefined;
  const renew = (): void => {
    cancel();
    if (left && !stopped) cancel = clock.after(limits.leftMessageMsMax, giveUp);
  };
  void from.closed.then((reason) => {
    left = reason !== undefined;
    renew();
  });
  return {
    renew,
    stop() {
      stopped = true;
      cancel();
    },
  };
}

/**
 * Sends the messages of `from` on to `to`, each as `change` makes it, until there are no more.
 * Rejects when one of them was aborted. What was under way when `from` left is given up as
 * `whenLeft` says, message by message.
 */
export async function carry(
  from: Channel,
  to: Channel,
  change: (message: Uint8Array) => Uint8Array | undefined = (message) => message,
  clock: Clock = realClock,
): Promise<void> {
  const grace = whenLeft(from, clock, () => to.abort("the other side went away"));
  try {
    for await (const message of from.messages) {
      const changed = change(message);
      if (changed === undefined) continue;
      await to.send(changed);
      grace.renew();
    }
  } finally {
    grace.stop();
  }
}

/**
 * Sends a body, each chunk as `change` makes it, and ends this side. The body is given up as soon
 * as the other side is gone, also while it has nothing to say: then this rejects or ends.
 */
export async function sendBody(
  channel: Channel,
  body: ReadableStream<Uint8Array> | null,
  change: (chunk: Uint8Array) => Uint8Array = (chunk) => chunk,
): Promise<void> {
  const reader = body?.getReader();
  const giveUp = () => void reader?.cancel().catch(() => undefined);
  void channel.closed.then((reason) => reason !== undefined && giveUp());
  try {
    for (let read = await reader?.read(); read?.done === false; read = await reader?.read()) {
      await channel.send(change(read.value));
    }
  } catch (error) {
    giveUp();
    throw error;
  }
  channel.end();
}
