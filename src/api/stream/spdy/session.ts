/**
 * The server's side of a SPDY/3.1 connection over any channel of bytes. Its flow control is
 * ignored: Kubernetes' clients never open their windows, and the channel below has back-pressure of
 * its own.
 */
import {
  encodeData,
  encodePing,
  encodeReset,
  encodeSynReply,
  type Frame,
  FrameReader,
  type Headers,
} from "#api/stream/spdy/frames.ts";
import { HeaderPacker } from "#api/stream/spdy/packer.ts";
import { type Channel, channelPair, whenLeft } from "#base/channel.ts";
import { type Clock, realClock } from "#base/clock.ts";
import { EmptyFrames, TOO_MANY_EMPTY } from "#base/framerate.ts";
import { limits } from "#base/limits.ts";
import { nextTurn } from "#base/turn.ts";

export interface SpdyStream {
  readonly headers: Headers;
  readonly channel: Channel;
  /** Resolves when all that our side wrote went to the connection, and its end. */
  readonly sent: Promise<void>;
}

const PROTOCOL_ERROR = 1;
const REFUSED = 3;
const DATA_BYTES_MAX = 32 * 1024;

/** Serves streams that the client opens until the connection is over. Never rejects. */
export async function serveSpdy(
  connection: Channel,
  onStream: (stream: SpdyStream) => void,
  clock: Clock = realClock,
): Promise<void> {
  const session = new Session(connection, onStream);
  const grace = whenLeft(connection, clock, () => session.abortStreams());
  try {
    await session.run();
    connection.end();
  } catch (error) {
    connection.abort(error instanceof Error ? error.message : "SPDY failed");
  } finally {
    grace.stop();
    session.close();
  }
}

/** Whether a frame brings nothing to a stream. */
function isEmpty(frame: Frame): boolean {
  if (frame.type === "data") return frame.payload.length === 0 && !frame.fin;
  return frame.type !== "synStream" && frame.type !== "rst";
}

class Session {
  readonly #connection: Channel;
  readonly #onStream: (stream: SpdyStream) => void;
  readonly #packer = new HeaderPacker();
  readonly #streams = new Map<number, Channel>();
  readonly #empty = new EmptyFrames();
  #lastId = 0;

  constructor(connection: Channel, onStream: (stream: SpdyStream) => void) {
    this.#connection = connection;
    this.#onStream = onStream;
  }

  async run(): Promise<void> {
    const reader = new FrameReader();
    let taken = 0;
    for await (const bytes of this.#connection.messages) {
      for (const frame of reader.push(bytes)) {
        await this.#take(frame);
        taken += 1;
        if (taken % limits.framesPerTurnMax === 0) await nextTurn();
      }
    }
  }

  abortStreams(): void {
    for (const stream of this.#streams.values()) stream.abort("the connection is over");
    this.#streams.clear();
  }

  close(): void {
    this.abortStreams();
    this.#packer.close();
  }

  /** @throws Error for a client that is not to be served any longer. */
  async #take(frame: Frame): Promise<void> {
    if (isEmpty(frame) && !this.#empty.take()) throw new Error(TOO_MANY_EMPTY);
    switch (frame.type) {
      case "synStream":
        return this.#open(frame.stream, frame.fin, frame.block);
      case "headers":
      case "synReply":
        // The dictionary grows with every block, wanted or not.
        await this.#packer.unpack(frame.block);
        return;
      case "data":
        return this.#data(frame.stream, frame.fin, frame.payload);
      case "rst":
        this.#streams.get(frame.stream)?.abort("the client reset the stream");
        this.#streams.delete(frame.stream);
        return;
      case "ping":
        // Odd numbers are the client's (SPDY 2.6.5).
        if (frame.id % 2 === 1) await this.#connection.send(encodePing(frame.id));
        return;
      default:
        return;
    }
  }

  async #open(id: number, fin: boolean, block: Uint8Array): Promise<void> {
    // Streams that took the place of others would count as one.
    if (id <= this.#lastId) throw new Error("the number of a SPDY stream came again");
    this.#lastId = id;
    const headers = await this.#packer.unpack(block);
    if (this.#streams.size >= limits.spdyStreamsMax) {
      return this.#connection.send(encodeReset(id, REFUSED));
    }
    const [inside, outside] = channelPair();
    this.#streams.set(id, outside);
    // Clients reset no stream that both sides have ended: a long connection would be full of them.
    void outside.closed.then(() => this.#streams.delete(id));
    await this.#connection.send(encodeSynReply(id, await this.#packer.pack({})));
    const sent = this.#sendAll(id, outside);
    if (fin) outside.end();
    this.#onStream({ headers, channel: inside, sent });
  }

  async #data(id: number, fin: boolean, payload: Uint8Array): Promise<void> {
    const stream = this.#streams.get(id);
    if (stream === undefined) return;
    try {
      if (payload.length > 0) await stream.send(new Uint8Array(payload));
      if (fin) stream.end();
    } catch {
      // Our side is done with this stream; what still comes in is nobody's.
      this.#streams.delete(id);
    }
  }

  /** Sends what our side writes; a stream that fails is reset, the connection goes on. */
  async #sendAll(id: number, stream: Channel): Promise<void> {
    const connection = this.#connection;
    try {
      for await (const message of stream.messages) {
        for (let at = 0; at < message.length; at += DATA_BYTES_MAX) {
          const part = message.subarray(at, at + DATA_BYTES_MAX);
          await connection.send(encodeData(id, part, false));
        }
      }
      await connection.send(encodeData(id, new Uint8Array(0), true));
    } catch {
      await connection.send(encodeReset(id, PROTOCOL_ERROR)).catch(() => {});
    }
  }
}
