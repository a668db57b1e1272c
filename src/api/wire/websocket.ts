/** A connection that became a WebSocket: its messages are a Channel, with back-pressure each way. */
import { createHash } from "node:crypto";
import { FrameError, OPCODE, readFrame, writeFrame } from "#api/wire/frames.ts";
import type { Writer } from "#api/wire/writer.ts";
import { type Channel, channelPair } from "#base/channel.ts";
import { limits } from "#base/limits.ts";

/** RFC 6455, section 1.3. */
const GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
const encoder = new TextEncoder();

/** The answer that makes a connection a WebSocket; undefined where nobody asked for one. */
export function acceptText(headers: Headers, protocol: string | undefined): string | undefined {
  const key = headers.get("sec-websocket-key");
  if (headers.get("upgrade")?.toLowerCase() !== "websocket" || key === null) return undefined;
  if (headers.get("sec-websocket-version") !== "13") return undefined;
  const accept = createHash("sha1").update(`${key}${GUID}`).digest("base64");
  const chosen = protocol === undefined ? "" : `Sec-WebSocket-Protocol: ${protocol}\r\n`;
  return (
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
    `Sec-WebSocket-Accept: ${accept}\r\n${chosen}\r\n`
  );
}

export interface SocketControl {
  readonly writer: Writer;
  /** Stops and goes on with reading from the client. */
  pause(): void;
  resume(): void;
}

export class WebSocketSide {
  /** For whoever serves the request. */
  readonly channel: Channel;
  readonly #outside: Channel;
  readonly #control: SocketControl;
  readonly #opcode: number;
  #input: Buffer = Buffer.alloc(0);
  #parts: Buffer[] = [];
  #partBytes = 0;
  #busy = false;
  #paused = false;
  #closeSent = false;

  constructor(control: SocketControl, protocol: string | undefined) {
    const [inside, outside] = channelPair();
    this.channel = inside;
    this.#outside = outside;
    this.#control = control;
    // These protocols are base64 in text frames.
    this.#opcode = protocol?.includes("base64") === true ? OPCODE.text : OPCODE.binary;
    outside.closed.catch(() => {});
    control.writer.whenGone(() => outside.abort("the client went away"));
    void this.#pump();
  }

  async #pump(): Promise<void> {
    const { writer } = this.#control;
    try {
      for await (const message of this.#outside.messages) {
        writer.write(writeFrame(this.#opcode, message));
        if (!writer.ready) await writer.drained();
      }
      this.#close(1000, "");
    } catch (error) {
      this.#close(1011, error instanceof Error ? error.message : "aborted");
    }
  }

  #close(code: number, reason: string): void {
    if (this.#closeSent) return;
    this.#closeSent = true;
    const payload = Buffer.concat([Buffer.alloc(2), encoder.encode(reason).subarray(0, 120)]);
    payload.writeUInt16BE(code, 0);
    this.#control.writer.write(writeFrame(OPCODE.close, payload));
    // Whoever closed first waits for the other's answer; a client that sends none is let go.
    setTimeout(() => this.#control.writer.end(), CLOSE_MS).unref();
  }

  /** Bytes of the client. Never throws; what is wrong closes the socket. */
  receive(bytes: Buffer): void {
    this.#input = this.#input.length === 0 ? bytes : Buffer.concat([this.#input, bytes]);
    if (!this.#busy) {
      this.#busy = true;
      void this.#work();
    } else if (!this.#paused && this.#input.length > limits.socketMessageBytesMax) {
      this.#paused = true;
      this.#control.pause();
    }
  }

  async #work(): Promise<void> {
    try {
      for (;;) {
        const next = readFrame(this.#input, limits.socketMessageBytesMax);
        if (next === undefined) break;
        this.#input = next.rest;
        await this.#take(next.frame);
      }
    } catch (error) {
      const known = error instanceof FrameError;
      if (known) this.#outside.abort(error.message);
      this.#close(known ? error.code : 1011, known ? error.message : "the other side went away");
    }
    this.#busy = false;
    if (!this.#paused) return;
    this.#paused = false;
    this.#control.resume();
  }

  async #take(frame: { final: boolean; opcode: number; payload: Buffer }): Promise<void> {
    const { writer } = this.#control;
    switch (frame.opcode) {
      case OPCODE.ping:
        writer.write(writeFrame(OPCODE.pong, frame.payload));
        return;
      case OPCODE.pong:
        return;
      case OPCODE.close:
        if (!this.#closeSent) writer.write(writeFrame(OPCODE.close, frame.payload.subarray(0, 2)));
        this.#closeSent = true;
        this.#outside.end();
        this.#outside.abort("the client went away");
        writer.end();
        return;
      case OPCODE.more:
      case OPCODE.text:
      case OPCODE.binary:
        await this.#message(frame.final, frame.payload, frame.opcode === OPCODE.more);
        return;
      default:
        throw new FrameError(1002, "unknown frame");
    }
  }

  async #message(final: boolean, payload: Buffer, more: boolean): Promise<void> {
    if (more !== this.#parts.length > 0) throw new FrameError(1002, "a fragment out of turn");
    this.#partBytes += payload.length;
    if (this.#partBytes > limits.socketMessageBytesMax) {
      throw new FrameError(1009, "message too long");
    }
    this.#parts.push(payload);
    if (!final) return;
    const whole = this.#parts.length === 1 ? payload : Buffer.concat(this.#parts);
    this.#parts = [];
    this.#partBytes = 0;
    await this.#outside.send(new Uint8Array(whole));
  }
}

/** How long a client has to answer a close. */
const CLOSE_MS = 1_000;
