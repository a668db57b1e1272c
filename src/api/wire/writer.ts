/**
 * What goes out on a socket: written at once where the kernel takes it, kept in order where it does
 * not. The queue is as long as its users let it become: they wait on `drained`.
 */

/** The little that is needed of Bun's socket. */
export interface RawSocket {
  /** Bytes that were taken; less than there are, or below 0, when it is full or gone. */
  write(data: string | Uint8Array): number;
  end(): void;
  terminate(): void;
}

export class Writer {
  readonly #socket: RawSocket;
  #queue: Uint8Array[] = [];
  #queuedBytes = 0;
  #ending = false;
  #closed = false;
  #drained: PromiseWithResolvers<void> | undefined;
  #gone: (() => void) | undefined;

  constructor(socket: RawSocket) {
    this.#socket = socket;
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** Whether more may be written without a wait. */
  get ready(): boolean {
    return this.#queuedBytes === 0 && !this.#closed;
  }

  write(data: string | Uint8Array): void {
    if (this.#closed || this.#ending) return;
    if (this.#queuedBytes > 0) {
      this.#keep(bytesOf(data));
      return;
    }
    const taken = this.#socket.write(data);
    const size = typeof data === "string" ? Buffer.byteLength(data) : data.length;
    if (taken < size) this.#keep(bytesOf(data).subarray(Math.max(taken, 0)));
  }

  #keep(bytes: Uint8Array): void {
    this.#queue.push(bytes);
    this.#queuedBytes += bytes.length;
  }

  /** Resolves when all of it was taken, or the socket is gone. */
  async drained(): Promise<void> {
    if (this.#queuedBytes === 0 || this.#closed) return;
    this.#drained ??= Promise.withResolvers();
    await this.#drained.promise;
  }

  /** Calls back once, when the socket is gone; the last who asks is told. */
  whenGone(callback: () => void): void {
    this.#gone = callback;
    if (this.#closed) this.#tell();
  }

  #tell(): void {
    const callback = this.#gone;
    this.#gone = undefined;
    callback?.();
  }

  /** The socket takes more. */
  onDrain(): void {
    while (this.#queue.length > 0) {
      const first = this.#queue[0];
      if (first === undefined) break;
      const taken = Math.max(this.#socket.write(first), 0);
      this.#queuedBytes -= taken;
      if (taken < first.length) {
        this.#queue[0] = first.subarray(taken);
        return;
      }
      this.#queue.shift();
    }
    this.#drained?.resolve();
    this.#drained = undefined;
    if (this.#ending) this.#socket.end();
  }

  /** Ends the connection once everything was taken. */
  end(): void {
    if (this.#ending || this.#closed) return;
    this.#ending = true;
    if (this.#queuedBytes === 0) this.#socket.end();
  }

  /** Ends it now; the other side sees that the answer is not whole. */
  destroy(): void {
    if (this.#closed) return;
    this.#socket.terminate();
    this.onClose();
  }

  /** The socket is gone. */
  onClose(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#queue = [];
    this.#queuedBytes = 0;
    this.#drained?.resolve();
    this.#drained = undefined;
    this.#tell();
  }
}

const bytesOf = (data: string | Uint8Array): Uint8Array =>
  typeof data === "string" ? Buffer.from(data) : data;
