/**
 * A duplex of messages with back-pressure: how exec, attach and port-forward reach a node, in one
 * process or through the tunnel.
 */

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
  /** Resolves when both directions are over. */
  readonly closed: Promise<void>;
}

/** Messages queued before `send` waits. */
const QUEUE_MAX = 16;

class Pipe {
  #queue: Uint8Array[] = [];
  #ended = false;
  #reason: string | undefined;
  #wake: Array<() => void> = [];
  readonly over = Promise.withResolvers<void>();

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
    if (this.#queue.length === 0) this.over.resolve();
    this.#signal();
  }

  abort(reason: string): void {
    this.#reason ??= reason;
    this.over.resolve();
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
        this.over.resolve();
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
    closed: Promise.all([out.over.promise, into.over.promise]).then(() => undefined),
  };
}

/** Two ends of one channel in this process. */
export function channelPair(): [Channel, Channel] {
  const there = new Pipe();
  const back = new Pipe();
  return [side(there, back), side(back, there)];
}
