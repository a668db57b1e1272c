/**
 * Sockets to upstream servers: a fresh UDP port for some questions at a time, or one TCP
 * connection.
 */
import { connect } from "node:net";
import type { Exchange } from "#agents/dns/forward.ts";
import type { Upstream } from "#agents/dns/upstreams.ts";
import type { Clock } from "#base/clock.ts";
import { TimeoutError } from "#base/errors.ts";
import { limits } from "#base/limits.ts";
import type { Random } from "#base/random.ts";

interface Waiting {
  /** The question section: an answer to another question is not ours (RFC 5452). */
  question: Uint8Array;
  resolve: (answer: Uint8Array) => void;
  reject: (error: Error) => void;
}

interface Port {
  socket: Promise<Bun.udp.ConnectedSocket<"buffer">>;
  waiting: Map<number, Waiting>;
  /** Questions sent so far: a port is changed after some, so that it cannot be guessed for long. */
  sent: number;
}

const PORT_QUESTIONS_MAX = 64;
const HEADER_BYTES = 12;

const lower = (byte: number): number => (byte >= 0x41 && byte <= 0x5a ? byte + 32 : byte);

function isAnswer(answer: Uint8Array, question: Uint8Array): boolean {
  if (answer.length < question.length || ((answer[2] ?? 0) & 0x80) === 0) return false;
  for (let i = HEADER_BYTES; i < question.length; i++) {
    if (lower(answer[i] ?? 0) !== lower(question[i] ?? 0)) return false;
  }
  return true;
}

/** The end of the first question: its name has no pointers. */
function questionEnd(message: Uint8Array): number {
  let at = HEADER_BYTES;
  while (at < message.length && message[at] !== 0) at += (message[at] ?? 0) + 1;
  return at + 5;
}

class Exchanger {
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #ports = new Map<string, Port>();

  constructor(clock: Clock, random: Random) {
    this.#clock = clock;
    this.#random = random;
  }

  readonly ask: Exchange = (question, upstream, stream) =>
    stream ? this.#askStream(question, upstream) : this.#askDatagram(question, upstream);

  close(): void {
    for (const key of [...this.#ports.keys()]) this.#retire(key);
  }

  #askDatagram(question: Uint8Array, upstream: Upstream): Promise<Uint8Array> {
    const key = `${upstream.address} ${upstream.port}`;
    const port = this.#ports.get(key) ?? this.#open(key, upstream);
    if (++port.sent >= PORT_QUESTIONS_MAX) this.#ports.delete(key);
    const { promise, resolve, reject } = Promise.withResolvers<Uint8Array>();
    let id = Math.floor(this.#random.next() * 0x10000);
    while (port.waiting.has(id)) id = (id + 1) & 0xffff;
    const bytes = Buffer.from(question);
    bytes.writeUInt16BE(id, 0);
    const asked = bytes.subarray(0, questionEnd(bytes));
    port.waiting.set(id, { question: asked, resolve, reject });
    const cancel = this.#clock.after(limits.dnsUpstreamMsMax, () =>
      reject(new TimeoutError(`no answer in ${limits.dnsUpstreamMsMax} ms`)),
    );
    // A port that nobody listens at may be told of in the next send, which then throws.
    port.socket.then((socket) => socket.send(bytes)).catch(reject);
    return promise.finally(() => {
      cancel();
      port.waiting.delete(id);
      this.#closeIdle(key, port);
    });
  }

  #open(key: string, { address, port: number }: Upstream): Port {
    const waiting = new Map<number, Waiting>();
    const fail = (error: Error) => {
      for (const { reject } of waiting.values()) reject(error);
    };
    const socket = Bun.udpSocket({
      connect: { hostname: address, port: number },
      socket: {
        data: (_socket, answer) => {
          const one = waiting.get(((answer[0] ?? 0) << 8) | (answer[1] ?? 0));
          if (one !== undefined && isAnswer(answer, one.question)) one.resolve(answer);
        },
        error: (_socket, error) => fail(error),
      },
    });
    const port: Port = { socket, waiting, sent: 0 };
    this.#ports.set(key, port);
    return port;
  }

  /** A port that is no longer used for new questions goes when its last one is answered. */
  #closeIdle(key: string, port: Port): void {
    if (port.waiting.size > 0 || this.#ports.get(key) === port) return;
    void port.socket.then((socket) => socket.close()).catch(() => {});
  }

  #retire(key: string): void {
    const port = this.#ports.get(key);
    this.#ports.delete(key);
    if (port !== undefined) this.#closeIdle(key, port);
  }

  #askStream(question: Uint8Array, { address, port }: Upstream): Promise<Uint8Array> {
    const { promise, resolve, reject } = Promise.withResolvers<Uint8Array>();
    const socket = connect({ host: address, port });
    let received = Buffer.alloc(0);
    socket.on("data", (chunk: Buffer) => {
      received = Buffer.concat([received, chunk]);
      if (received.length < 2) return;
      const length = received.readUInt16BE(0);
      if (received.length >= length + 2) resolve(received.subarray(2, length + 2));
    });
    socket.on("error", reject);
    socket.on("close", () => reject(new Error("connection closed")));
    const length = Buffer.alloc(2);
    length.writeUInt16BE(question.length);
    socket.write(Buffer.concat([length, question]));
    const cancel = this.#clock.after(limits.dnsUpstreamMsMax, () =>
      reject(new TimeoutError(`no answer in ${limits.dnsUpstreamMsMax} ms`)),
    );
    return promise.finally(() => {
      cancel();
      socket.destroy();
    });
  }
}

export function createExchange(clock: Clock, random: Random): { ask: Exchange; close(): void } {
  return new Exchanger(clock, random);
}
