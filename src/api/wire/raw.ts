/**
 * A connection that became a plain pipe of bytes, as SPDY needs it: a Channel with back-pressure
 * each way.
 */
import type { SocketControl } from "#api/wire/websocket.ts";
import { type Channel, channelPair } from "#base/channel.ts";
import { limits } from "#base/limits.ts";

/** The answer that lets a client go on in another protocol; undefined where it did not ask for it. */
export function switchText(
  headers: Headers,
  upgrade: string,
  more: Readonly<Record<string, string>>,
): string | undefined {
  if (headers.get("upgrade")?.toLowerCase() !== upgrade.toLowerCase()) return undefined;
  if (!/\bupgrade\b/i.test(headers.get("connection") ?? "")) return undefined;
  const lines = Object.entries(more).map(([name, value]) => `${name}: ${value}\r\n`);
  return (
    `HTTP/1.1 101 Switching Protocols\r\nUpgrade: ${upgrade}\r\nConnection: Upgrade\r\n` +
    `${lines.join("")}\r\n`
  );
}

export class RawSide {
  /** For whoever serves the request. */
  readonly channel: Channel;
  readonly #outside: Channel;
  readonly #control: SocketControl;
  #waitingBytes = 0;
  #paused = false;

  constructor(control: SocketControl) {
    const [inside, outside] = channelPair();
    this.channel = inside;
    this.#outside = outside;
    this.#control = control;
    outside.closed.catch(() => {});
    control.writer.whenGone(() => outside.abort("the client went away"));
    void this.#pump();
  }

  async #pump(): Promise<void> {
    const { writer } = this.#control;
    try {
      for await (const bytes of this.#outside.messages) {
        writer.write(bytes);
        if (!writer.ready) await writer.drained();
      }
      writer.end();
    } catch {
      writer.destroy();
    }
  }

  /** Bytes of the client. Never throws. */
  receive(bytes: Buffer): void {
    this.#waitingBytes += bytes.length;
    if (!this.#paused && this.#waitingBytes > limits.socketMessageBytesMax) {
      this.#paused = true;
      this.#control.pause();
    }
    this.#outside.send(new Uint8Array(bytes)).then(
      () => this.#taken(bytes.length),
      () => this.#control.writer.end(),
    );
  }

  #taken(size: number): void {
    this.#waitingBytes -= size;
    if (!this.#paused || this.#waitingBytes > 0) return;
    this.#paused = false;
    this.#control.resume();
  }
}
