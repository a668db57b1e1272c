/** A connection that became a WebSocket: its messages are a Channel, with back-pressure each way. */
import { createHash } from "node:crypto";
import { type Frame, FrameError, OPCODE, readFrame, writeFrame } from "#api/wire/frames.ts";
import type { Writer } from "#api/wire/writer.ts";
import { type Channel, channelPair } from "#base/channel.ts";
import { EmptyFrames, TOO_MANY_EMPTY } from "#base/framerate.ts";
import { Intake } from "#base/intake.ts";
import { limits } from "#base/limits.ts";
import { nextTurn } from "#base/turn.ts";

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
  readonly #input = new Intake();
  readonly #empty = new EmptyFrames();
  /** Fragments of a message whose end has not come. */
  readonly #message = new Intake();
  #fragments = 0;
  /** A ping that is answered once the client reads. */
  #ping: Buffer | undefined;
  #busy = false;
  #paused = false;
  #closeSent = false;
  #failed = false;

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
    if (this.#failed) return;
    this.#input.append(bytes);
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
      await this.#takeAll();
    } catch (error) {
      const known = error instanceof FrameError;
      // Where the next frame begins is not known after a fault.
      this.#failed = true;
      this.#input.clear();
      if (known) this.#outside.abort(error.message);
      this.#close(known ? error.code : 1011, known ? error.message : "the other side went away");
      if (known) this.#control.writer.end();
    }
    this.#busy = false;
    if (!this.#paused) return;
    this.#paused = false;
    this.#control.resume();
  }

  async #takeAll(): Promise<void> {
    for (let taken = 1; ; taken += 1) {
      const next = readFrame(this.#input.bytes, limits.socketMessageBytesMax);
      if (next === undefined) return;
      this.#input.skip(next.size);
      const message = this.#take(next.frame);
      if (message !== undefined) await this.#outside.send(message);
      if (taken % limits.framesPerTurnMax === 0) await nextTurn();
    }
  }

  /** The message that this frame completes, if it does. @throws FrameError */
  #take({ final, opcode, payload }: Frame): Uint8Array | undefined {
    if ((opcode >= OPCODE.close || payload.length === 0) && !this.#empty.take()) {
      throw new FrameError(1008, TOO_MANY_EMPTY);
    }
    if (this.#closeSent && opcode !== OPCODE.close) return undefined;
    switch (opcode) {
      case OPCODE.ping:
        this.#answerPing(payload);
        return undefined;
      case OPCODE.pong:
        return undefined;
      case OPCODE.close:
        this.#closed(payload);
        return undefined;
      case OPCODE.more:
      case OPCODE.text:
      case OPCODE.binary:
        return this.#fragment(final, payload, opcode === OPCODE.more);
      default:
        throw new FrameError(1002, "unknown frame");
    }
  }

  /** A client that reads nothing gets one answer, to its last ping (RFC 6455, section 5.5.3). */
  #answerPing(payload: Buffer): void {
    const { writer } = this.#control;
    if (writer.ready) {
      writer.write(writeFrame(OPCODE.pong, payload));
      return;
    }
    const waits = this.#ping !== undefined;
    this.#ping = payload;
    if (waits) return;
    void writer.drained().then(() => {
      const last = this.#ping;
      this.#ping = undefined;
      if (last !== undefined && !this.#closeSent) writer.write(writeFrame(OPCODE.pong, last));
    });
  }

  #closed(payload: Buffer): void {
    const { writer } = this.#control;
    if (!this.#closeSent) writer.write(writeFrame(OPCODE.close, payload.subarray(0, 2)));
    this.#closeSent = true;
    this.#outside.end();
    this.#outside.abort("the client went away");
    writer.end();
  }

  #fragment(final: boolean, payload: Buffer, more: boolean): Uint8Array | undefined {
    if (more !== this.#fragments > 0) throw new FrameError(1002, "a fragment out of turn");
    this.#fragments += 1;
    if (this.#fragments > limits.socketFragmentsMax) {
      throw new FrameError(1008, `more than ${limits.socketFragmentsMax} fragments in a message`);
    }
    if (this.#message.length + payload.length > limits.socketMessageBytesMax) {
      throw new FrameError(1009, "message too long");
    }
    this.#message.append(payload);
    if (!final) return undefined;
    const whole = new Uint8Array(this.#message.bytes);
    this.#message.clear();
    this.#fragments = 0;
    return whole.length === 0 ? undefined : whole;
  }
}

/** How long a client has to answer a close. */
const CLOSE_MS = 1_000;
