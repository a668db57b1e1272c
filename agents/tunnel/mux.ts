/**
 * Many channels over one message socket (a WebSocket that a node dialled). The server opens
 * channels, the node answers; each has its own credit, so a slow one holds up no other. Knows
 * nothing of what they carry.
 *
 * A frame is: channel id (4 bytes, big endian), kind (1 byte), payload.
 */
import { assert } from "#base/assert.ts";
import type { Channel } from "#base/channel.ts";
import { limits } from "#base/limits.ts";

export interface FrameSocket {
  send(frame: Uint8Array): void;
  close(): void;
}

export interface MuxOptions {
  socket: FrameSocket;
  /** A channel that the other side opened; `target` is what it gave to `open`. */
  onOpen?: (target: string, channel: Channel) => void;
}

export interface Mux {
  open(target: string): Channel;
  /** One frame from the socket. */
  receive(frame: Uint8Array): void;
  /** The socket is gone: every channel is aborted. */
  closed(reason: string): void;
  /** A sign of life; the other side answers it with one. */
  ping(): void;
  readonly channels: number;
}

const KIND = { open: 1, more: 2, data: 3, credit: 4, end: 5, abort: 6, ping: 7 } as const;
const HEADER_BYTES = 5;
/** No channel has this id: such frames are pings, or with a payload the answers to them. */
const PING_ID = 0;
const PONG = new Uint8Array([1]);

const encoder = new TextEncoder();
const decoder = new TextDecoder();

function frame(id: number, kind: number, payload: Uint8Array = new Uint8Array(0)): Uint8Array {
  const out = new Uint8Array(HEADER_BYTES + payload.length);
  new DataView(out.buffer).setUint32(0, id);
  out[4] = kind;
  out.set(payload, HEADER_BYTES);
  return out;
}

function creditPayload(bytes: number): Uint8Array {
  const out = new Uint8Array(4);
  new DataView(out.buffer).setUint32(0, bytes);
  return out;
}

/** What a message costs of the window; empty ones cost too, or they would be without a bound. */
const costOf = (message: Uint8Array): number => message.length + HEADER_BYTES;

class MuxChannel implements Channel {
  readonly id: number;
  readonly #send: (frame: Uint8Array) => void;
  readonly #closed = Promise.withResolvers<string | undefined>();
  #credit: number = limits.tunnelWindowBytes;
  #queue: Uint8Array[] = [];
  #parts: Uint8Array[] = [];
  #sentEnd = false;
  #gotEnd = false;
  #reason: string | undefined;
  #waiting: Array<() => void> = [];
  /** Sends follow one another whole: two writers may not mix the parts of their messages. */
  #turn: Promise<void> = Promise.resolve();

  constructor(id: number, send: (frame: Uint8Array) => void, forget: () => void) {
    this.id = id;
    this.#send = send;
    this.#closed.promise.then(forget);
  }

  get closed(): Promise<string | undefined> {
    return this.#closed.promise;
  }

  #wake(): void {
    for (const wake of this.#waiting.splice(0)) wake();
  }

  #changed(): Promise<void> {
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  #finishIfOver(): void {
    const over = this.#reason !== undefined || (this.#sentEnd && this.#gotEnd);
    if (over) this.#closed.resolve(this.#reason);
  }

  send(message: Uint8Array): Promise<void> {
    const sent = this.#turn.then(() => this.#sendParts(message));
    this.#turn = sent.catch(() => undefined);
    return sent;
  }

  async #sendParts(message: Uint8Array): Promise<void> {
    let start = 0;
    do {
      const part = message.subarray(start, start + limits.tunnelFrameBytesMax);
      start += part.length;
      while (this.#credit <= 0 && this.#reason === undefined) await this.#changed();
      if (this.#reason !== undefined) throw new Error(this.#reason);
      if (this.#sentEnd) throw new Error("channel ended");
      this.#credit -= costOf(part);
      this.#send(frame(this.id, start < message.length ? KIND.more : KIND.data, part));
    } while (start < message.length);
  }

  end(): void {
    this.#turn = this.#turn.then(() => {
      if (this.#sentEnd || this.#reason !== undefined) return;
      this.#sentEnd = true;
      this.#send(frame(this.id, KIND.end));
      this.#finishIfOver();
    });
  }

  abort(reason: string): void {
    if (this.#reason !== undefined) return;
    this.#send(frame(this.id, KIND.abort, encoder.encode(reason)));
    this.fail(reason);
  }

  fail(reason: string): void {
    this.#reason ??= reason;
    this.#finishIfOver();
    this.#wake();
  }

  received(kind: number, payload: Uint8Array): void {
    if (kind === KIND.credit) {
      this.#credit += new DataView(payload.buffer, payload.byteOffset).getUint32(0);
    } else if (kind === KIND.more) {
      this.#parts.push(payload);
    } else if (kind === KIND.data) {
      const parts = this.#parts.splice(0);
      this.#queue.push(parts.length === 0 ? payload : Buffer.concat([...parts, payload]));
    } else if (kind === KIND.end) {
      this.#gotEnd = true;
      this.#finishIfOver();
    } else if (kind === KIND.abort) {
      this.fail(decoder.decode(payload));
      return;
    }
    // Parts of one large message are paid back as they come: it must not wait for itself.
    if (kind === KIND.more) this.#giveCredit(costOf(payload));
    this.#wake();
  }

  #giveCredit(bytes: number): void {
    if (this.#reason === undefined && !this.#gotEnd) {
      this.#send(frame(this.id, KIND.credit, creditPayload(bytes)));
    }
  }

  readonly messages: AsyncIterable<Uint8Array> = {
    [Symbol.asyncIterator]: () => this.#read(),
  };

  async *#read(): AsyncGenerator<Uint8Array> {
    for (;;) {
      const message = this.#queue.shift();
      if (message !== undefined) {
        this.#giveCredit(costOf(message.subarray(0, limits.tunnelFrameBytesMax)));
        yield message;
      } else if (this.#reason !== undefined) {
        throw new Error(this.#reason);
      } else if (this.#gotEnd) {
        return;
      } else {
        await this.#changed();
      }
    }
  }
}

export function createMux(options: MuxOptions): Mux {
  const channels = new Map<number, MuxChannel>();
  let lastId = 0;
  let gone: string | undefined;

  function add(id: number): MuxChannel {
    const send = (bytes: Uint8Array) => {
      if (gone === undefined) options.socket.send(bytes);
    };
    const channel = new MuxChannel(id, send, () => channels.delete(id));
    channels.set(id, channel);
    return channel;
  }

  function accept(id: number, target: string): void {
    if (options.onOpen === undefined || channels.size >= limits.tunnelStreamsMax) {
      options.socket.send(frame(id, KIND.abort, encoder.encode("too many streams on this node")));
      return;
    }
    options.onOpen(target, add(id));
  }

  return {
    get channels() {
      return channels.size;
    },
    open(target) {
      if (gone !== undefined) throw new Error(gone);
      if (channels.size >= limits.tunnelStreamsMax) {
        throw new Error("too many streams to this node");
      }
      lastId += 1;
      const channel = add(lastId);
      options.socket.send(frame(lastId, KIND.open, encoder.encode(target)));
      return channel;
    },
    receive(bytes) {
      assert(bytes.length >= HEADER_BYTES, "a frame has a header");
      const id = new DataView(bytes.buffer, bytes.byteOffset).getUint32(0);
      const payload = bytes.subarray(HEADER_BYTES);
      if (id === PING_ID) {
        if (payload.length === 0) options.socket.send(frame(PING_ID, KIND.ping, PONG));
      } else if (bytes[4] === KIND.open) accept(id, decoder.decode(payload));
      else channels.get(id)?.received(bytes[4] ?? 0, payload);
    },
    ping() {
      options.socket.send(frame(PING_ID, KIND.ping));
    },
    closed(reason) {
      gone ??= reason;
      for (const channel of [...channels.values()]) channel.fail(reason);
    },
  };
}
